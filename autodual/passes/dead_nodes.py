"""Removes nodes that no output depends on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from autodual.passes.base import Pass

if TYPE_CHECKING:
    from autodual.passes.plan import Plan


@dataclass(frozen=True)
class RemoveDeadNodes(Pass):
    """Keep the inputs and the ancestors of the outputs."""

    name: ClassVar[str] = "remove-dead-nodes"

    def run(self, plan: Plan) -> Plan:
        graph = plan.graph
        live = frozenset(graph.inputs).union(*(graph.ancestors[name] for name in graph.outputs))
        return replace(plan, graph=graph.with_nodes([node for node in graph if node.name in live]))
