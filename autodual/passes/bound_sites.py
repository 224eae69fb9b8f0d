"""Finds the nodes whose intervals some relaxation needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from autodual.passes.base import Pass

if TYPE_CHECKING:
    from autodual.passes.plan import Plan


@dataclass(frozen=True)
class FindBoundSites(Pass):
    """A bound site is an operand of a nonlinear node, and the node whose scalars that merely moves or repeats."""

    name: ClassVar[str] = "find-bound-sites"

    def run(self, plan: Plan) -> Plan:
        operands = {operand for name in plan.relaxed for operand in plan.graph[name].inputs}
        read = operands | {_source(plan, operand) for operand in operands}
        return replace(plan, sites=tuple(node.name for node in plan.graph if node.name in read))


def _source(plan: Plan, name: str) -> str:
    """The node whose scalars this one moves or repeats; itself if it does more."""
    while getattr(plan.rules.get(name), "moves", False):
        (name,) = plan.graph[name].inputs
    return name
