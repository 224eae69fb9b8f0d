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
    """Section 3.4.5: r Cauchy columns (normal ones for l2 balls) stand in for the rows of all units.

    Medians fall short half of the time, so the results are estimates and prove nothing:
    `DualResult.failure_probability` is 1, and certificates ignore them.

    Args:
        dim: r.
        seed: of the random numbers, which differ in each call; None takes them from torch's global generator.
        where: which bounds are estimated: those inside the network, the last one, or both.
        prefer_exact: use exact rows for samples whose undecided units make them cheaper.

    Example:
        >>> import autodual, torch
        >>> from autodual.passes import RandomProjection, default_pipeline
        >>> passes = [*default_pipeline(), RandomProjection(10, seed=0)]
        >>> dual = autodual.compile_dual(torch.nn.Linear(2, 3), torch.zeros(1, 2), passes=passes)
        >>> dual.plan.options.projection.dim
        10
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
