"""The rule of the rectified linear unit (Theorem 1, equations 3.14 to 3.16)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.registry import dual_rule
from autodual.dual.relaxation import LinearRelaxation
from autodual.dual.rule import RelaxationRule
from autodual.interval import Interval
from autodual.ir import ops


@dual_rule(ops.Relu)
class ReluRule(RelaxationRule):
    """Above by the chord from (ℓ, 0) to (u, u); below by a line of slope α ∈ [0, 1] through the origin."""

    def undecided(self, bounds: Sequence[Interval]) -> Tensor:
        (z,) = bounds
        return ~((z.lower >= 0) | (z.upper <= 0))

    def parallel(self, bounds: Sequence[Interval]) -> LinearRelaxation:
        """α = u/(u - ℓ), the chord's own slope: the thesis' choice, linear in ν."""
        slope, intercept = self._chord(bounds)
        slopes = (slope,)
        return LinearRelaxation(slopes, slopes, torch.zeros_like(slope), intercept)

    def adaptive(self, bounds: Sequence[Interval]) -> LinearRelaxation:
        """α = 1 where u > -ℓ, else 0: the smaller of the two extreme triangles."""
        (z,) = bounds
        slope, intercept = self._chord(bounds)
        steep = torch.where(z.upper > -z.lower, torch.ones_like(slope), torch.zeros_like(slope))
        lower = torch.where(self.undecided(bounds), steep, slope)
        return LinearRelaxation((lower,), (slope,), torch.zeros_like(slope), intercept)

    def _chord(self, bounds: Sequence[Interval]) -> tuple[Tensor, Tensor]:
        """Slope and intercept of the upper line: (1, 0) where active, (0, 0) where inactive."""
        (z,) = bounds
        undecided = self.undecided(bounds)
        # The denominator is kept away from zero where it is not used: its gradient would be NaN there.
        width = torch.where(undecided, z.upper - z.lower, torch.ones_like(z.upper))
        decided = (z.lower >= 0).to(z.lower.dtype)
        slope = torch.where(undecided, z.upper / width, decided)
        # The larger of what either end needs: equal but for rounding, which must not let the line cut the function.
        needed = (-slope * z.lower).maximum(z.upper - slope * z.upper)
        return slope, torch.where(undecided, needed, torch.zeros_like(needed))
