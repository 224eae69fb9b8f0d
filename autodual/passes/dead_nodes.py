"""Removes nodes that no output depends on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from autodual.passes.base import Pass

if TYPE_CHECKING:
    from autodual.passes.plan import Plan


@dataclass(frozen=True)
class RemoveDeadNodes(Pass):
    """Keep the inputs and the ancestors of the outputs.

    Example:
        >>> import autodual, torch
        >>> from autodual.passes import RemoveDeadNodes
        >>> plan = autodual.compile_dual(torch.nn.Linear(2, 3), torch.zeros(1, 2)).plan
        >>> len(RemoveDeadNodes().run(plan).graph.nodes)
        2
    """

    name: ClassVar[str] = "remove-dead-nodes"

    def run(self, plan: Plan) -> Plan:
        graph = plan.graph
        live = frozenset(graph.inputs).union(*(graph.ancestors[name] for name in graph.outputs))
        return replace(plan, graph=graph.with_nodes([node for node in graph if node.name in live]))
