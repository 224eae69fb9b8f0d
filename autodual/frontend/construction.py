"""What both frontends build a graph with: the nodes so far, and the exception that refuses an operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from autodual.frontend.axisless import with_axes
from autodual.ir import Graph, Node, Op, Source
from autodual.ir.run_formula import Formula


class Unsupported(Exception):
    """Raised by a rule for an operation that it cannot lower; the message says why. Empty where there is no rule."""


@dataclass
class GraphUnderConstruction:
    """The nodes lowered so far."""

    nodes: list[Node] = field(default_factory=list)
    _taken: dict[str, int] = field(default_factory=dict)

    def add(
        self,
        name: str,
        op: Op,
        inputs: Sequence[Node],
        shape: tuple[int, ...],
        source: Source,
        formula: Formula | None = None,
    ) -> Node:
        node = Node(self._unique(name), op, tuple(node.name for node in inputs), shape, source, formula)
        self.nodes.append(node)
        return node

    def _unique(self, name: str) -> str:
        """`relu`, `relu_1`, `relu_2`, ..."""
        while True:
            count = self._taken.get(name, 0)
            self._taken[name] = count + 1
            candidate = f"{name}_{count}" if count else name
            if count == 0:
                return candidate
            if candidate not in self._taken:
                self._taken[candidate] = 1
                return candidate


def pruned(inputs: tuple[str, ...], nodes: Sequence[Node], output: str) -> Graph:
    """The graph with only the nodes that the output needs, each with at least one axis."""
    needed = {output, *inputs}
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.inputs)
    kept = [node for node in nodes if node.name in needed]
    return Graph(inputs, tuple(with_axes(kept, output)), (output,))
