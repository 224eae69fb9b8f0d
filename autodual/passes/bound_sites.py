"""Finds the nodes whose intervals some relaxation needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from autodual.passes.base import Pass

if TYPE_CHECKING:
    from autodual.passes.plan import Plan


@dataclass(frozen=True)
class FindBoundSites(Pass):
    """A bound site is an operand of a nonlinear node, or the node that the operand is an elementwise function of.

    The engine, projections, slopes and splits all read them from the plan.

    Example:
        >>> import autodual, torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
        >>> len(autodual.compile_dual(model, torch.zeros(1, 2)).plan.sites)
        1
    """

    name: ClassVar[str] = "find-bound-sites"

    def run(self, plan: Plan) -> Plan:
        from autodual.bounds.state.sites import find_sites

        return replace(plan, bound_sites=find_sites(plan.graph, plan.rules))
