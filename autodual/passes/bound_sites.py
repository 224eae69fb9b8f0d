"""Finds the nodes whose intervals some relaxation needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from autodual.passes.base import Pass

if TYPE_CHECKING:
    from autodual.passes.plan import Plan


@dataclass(frozen=True)
class FindBoundSites(Pass):
    """A bound site is an operand of a node whose rule is a relaxation."""

    name: ClassVar[str] = "find-bound-sites"

    def run(self, plan: Plan) -> Plan:
        from autodual.dual import RelaxationRule

        relaxed = [node for node in plan.graph if isinstance(plan.rules.get(node.name), RelaxationRule)]
        read = {name for node in relaxed for name in node.inputs}
        return replace(plan, sites=tuple(node.name for node in plan.graph if node.name in read))
