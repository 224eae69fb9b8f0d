"""What adds nodes to a graph, whichever frontend it belongs to."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from autodual.ir import Expression, Node, Op


class Emitter(Protocol):
    """What adds nodes to a graph."""

    def emit(self, op: Op, *inputs: Node, shape: tuple[int, ...] | None = None) -> Node:
        """Add `op(inputs)`, whose result has `shape` for one sample."""


class Reader(Emitter, Protocol):
    """What also knows the nodes and constants that are there."""

    def named(self, name: str) -> Node:
        """The node of this name that was emitted before."""

    def value(self, expression: Expression) -> Tensor:
        """A constant's present value, in float64."""
