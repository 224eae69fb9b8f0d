"""The part of a builder that compositions need, which both frontends' builders have."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from autodual.ir import Expression, Node, Op
from autodual.ir.run_formula import Formula


class Emitter(Protocol):
    """Adds nodes to a graph."""

    def emit(self, op: Op, *inputs: Node, shape: tuple[int, ...] | None = None, formula: Formula | None = None) -> Node:
        """Add `op(inputs)`, whose result has `shape` for one sample; libraries may compute it by the formula, too."""


class Reader(Emitter, Protocol):
    """Also looks up the nodes and constants that are there."""

    def named(self, name: str) -> Node:
        """The node of this name that was emitted before."""

    def value(self, expression: Expression) -> Tensor:
        """A constant's present value, in float64."""
