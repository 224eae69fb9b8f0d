"""What adds nodes to a graph, whichever frontend it belongs to."""

from __future__ import annotations

from typing import Protocol

from autodual.ir import Node, Op


class Emitter(Protocol):
    """What adds nodes to a graph."""

    def emit(self, op: Op, *inputs: Node, shape: tuple[int, ...] | None = None) -> Node:
        """Add `op(inputs)`, whose result has `shape` for one sample."""
