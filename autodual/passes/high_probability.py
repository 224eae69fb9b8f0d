"""Bounds that hold with a stated probability, at a cost that is linear in the network's size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from autodual.passes.base import Pass
from autodual.passes.projected import checked
from autodual.policies import ProjectedBounds, Projection

if TYPE_CHECKING:
    from autodual.passes.plan import Plan


@dataclass(frozen=True)
class HighProbability(Pass):
    """Section 3.4.6: geometric means of Cauchy projections, raised so far that all of a sample's hold at once.

    delta: the failure probability of a sample's whole certificate. dim: the budget of rows. All of them make one
    geometric mean, which is never worse than the largest of several; with the number N of a sample's estimates, counted
    in the graph, the inflation factor is the least that keeps each one's failure below delta / N. seed: of the random
    numbers. where, prefer_exact: see `RandomProjection`; samples that prefer exact bounds get deterministic ones.

    A seed must not be chosen by looking at certificates, and delta is that of one certificate, not of all together.
    """

    name: ClassVar[str] = "high-probability"

    delta: float = 0.01
    dim: int = 2000
    seed: int = 0
    where: ProjectedBounds = "inner"
    prefer_exact: bool = True

    def __post_init__(self) -> None:
        checked(self._projection)

    @property
    def _projection(self) -> Projection:
        return Projection(self.dim, self.seed, self.where, self.delta, self.prefer_exact)

    def run(self, plan: Plan) -> Plan:
        return replace(plan, options=replace(plan.options, projection=self._projection, slopes="shared"))
