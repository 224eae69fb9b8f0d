"""Finds operands that are tied to one another, whose values one rule bounds better than one rule for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from autodual.passes.base import Pass

if TYPE_CHECKING:
    from autodual.ir.expressions import Expression
    from autodual.passes.plan import Plan


@dataclass(frozen=True)
class TieOperands(Pass):
    """Vectors over their own norm, softmaxes and means under them become one op each.

    Op by op, a relaxation of x/|x| does not know that both operands are the same x, and may leave [-1, 1].

    Example:
        >>> import autodual, torch
        >>> plan = autodual.compile_dual(torch.nn.Softmax(1), torch.zeros(1, 3)).plan
        >>> [node.op.kind for node in plan.graph]
        ['input', 'log_softmax', 'normalized_exp']
    """

    name: ClassVar[str] = "tie-operands"

    def run(self, plan: Plan) -> Plan:
        from autodual.passes.dead_nodes import RemoveDeadNodes
        from autodual.passes.tied_patterns import tied

        graph, environment = plan.graph, plan.environment

        def not_negative(constant: Expression) -> bool:
            """Whether a constant, as it is now, has no entry below zero; one that changes later is looked at again."""
            return environment is not None and bool((environment(constant) >= 0).all())

        for node in plan.graph:
            # Patterns see the nodes before as they are by now.
            found = tied(graph, graph[node.name], not_negative)
            if found:
                nodes = [other for one in graph for other in (found if one.name == node.name else (one,))]
                graph = graph.with_nodes(nodes)
        return RemoveDeadNodes().run(replace(plan, graph=graph))
