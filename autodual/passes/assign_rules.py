"""Looks up the dual rule of every node."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from autodual.errors import UnsupportedOp, UnsupportedOpsError
from autodual.passes.base import Pass

if TYPE_CHECKING:
    from autodual.passes.plan import Plan


@dataclass(frozen=True)
class AssignRules(Pass):
    """Gives every node except the inputs the rule of its op; UnsupportedOpsError names all nodes without one.

    Example:
        >>> import autodual, torch
        >>> dual = autodual.compile_dual(torch.nn.Linear(2, 3), torch.zeros(1, 2))
        >>> [type(rule).__name__ for rule in dual.plan.rules.values()]
        ['LinearRule']
    """

    name: ClassVar[str] = "assign-rules"

    def run(self, plan: Plan) -> Plan:
        from autodual.dual import find_rule

        rules, missing = {}, []
        for node in plan.graph:
            if node.name in plan.graph.inputs:
                continue
            rule = find_rule(node.op)
            if rule is None:
                hint = f"register one with @autodual.dual.dual_rule({type(node.op).__name__})"
                missing.append(UnsupportedOp(node.op.kind, node.source.module, node.source.line, hint))
            else:
                rules[node.name] = rule
        if missing:
            raise UnsupportedOpsError(missing)
        return replace(plan, rules=rules)
