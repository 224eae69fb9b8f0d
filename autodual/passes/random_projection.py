"""Estimates bounds by medians of random projections: training at a cost that is linear in the network's size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from autodual.passes.base import Pass
from autodual.passes.projected import checked
from autodual.policies import ProjectedBounds, Projection

if TYPE_CHECKING:
    from autodual.passes.plan import Plan


@dataclass(frozen=True)
class RandomProjection(Pass):
    """Section 3.4.5: r Cauchy columns (normal ones for round balls) stand in for the rows of all units.

    dim: r. seed: of the random numbers, which are new in each call; None takes them from torch's global generator.
    where: which bounds are estimated, those inside the network, the last one, or both. prefer_exact: samples whose
    undecided units cost less by exact rows get those.

    Medians fall short half the time, so the results are estimates and prove nothing: `DualResult.failure_probability`
    is 1, and certificates ignore them.
    """

    name: ClassVar[str] = "random-projection"

    dim: int = 50
    seed: int | None = None
    where: ProjectedBounds = "inner"
    prefer_exact: bool = False

    def __post_init__(self) -> None:
        checked(self._projection)

    @property
    def _projection(self) -> Projection:
        return Projection(self.dim, self.seed, self.where, None, self.prefer_exact)

    def run(self, plan: Plan) -> Plan:
        return replace(plan, options=replace(plan.options, projection=self._projection))
