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
    """Section 3.4.6: geometric means of Cauchy projections, inflated so that all estimates of a sample hold at once.

    All `dim` columns form one geometric mean, which is never worse than the largest of several. With N estimates per
    sample, counted in the graph, the inflation factor is the smallest that keeps the failure of each below delta / N.
    The seed must not be chosen by looking at certificates, and delta is that of one certificate, not of all together.

    Args:
        delta: the failure probability of a sample's whole certificate.
        dim: the number of random columns.
        seed: of the random numbers.
        where, prefer_exact: see `RandomProjection`; exact bounds are deterministic.

    Example:
        >>> import autodual, torch
        >>> from autodual.passes import HighProbability, default_pipeline
        >>> passes = [*default_pipeline(), HighProbability(0.01, 200)]
        >>> dual = autodual.compile_dual(torch.nn.Linear(2, 3), torch.zeros(1, 2), passes=passes)
        >>> dual.plan.options.projection.delta
        0.01
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
