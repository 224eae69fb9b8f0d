"""The rule of conversions to a narrower floating type."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.execution import Executed, Run
from autodual.dual.registry import dual_rule
from autodual.dual.relaxation import LinearRelaxation
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment


@dual_rule(ops.Cast)
class CastRule(RelaxationRule):
    """Lines z ± the largest rounding error; horizontal lines at the rounded bounds where these are close together.

    Rounding is monotone, so the rounded bounds enclose the output. They are NaN where one is rounded to infinity.
    """

    def executed(self, op: ops.Cast, operands: Sequence[Executed], run: Run) -> Tensor:
        """Both the real and the run's value may be rounded, away from one another; equal values stay equal."""
        (z,) = operands
        ends = self.range(op, [z.reached], run.environment)
        apart = (z.error + 2 * largest_change(z.size, op.to)).minimum(ends.upper - ends.lower)
        return torch.where(z.error == 0, ends.upper * 0, apart)

    def undecided(self, op: ops.Cast, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        found = self.range(op, bounds, environment)
        return ~(found.lower == found.upper)

    def range(self, op: ops.Cast, bounds: Sequence[Interval], environment: Environment) -> Interval:
        (z,) = bounds
        ends = z.map(op.function)
        known = ends.lower.isfinite() & ends.upper.isfinite()
        return ends.map(lambda end: torch.where(known, end, math.nan))

    def parallel(self, op: ops.Cast, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        ends = self.range(op, bounds, environment)
        moved = largest_change(bounds[0].magnitude, op.to)
        close = ends.upper - ends.lower <= 2 * moved
        unknown = ends.lower.isnan()
        slopes = (torch.where(close | unknown, 0.0, torch.ones_like(moved)),)
        lower, upper = (
            torch.where(close | unknown, end, change) for end, change in ((ends.lower, -moved), (ends.upper, moved))
        )
        return LinearRelaxation(slopes, slopes, lower, upper)

    def adaptive(self, op: ops.Cast, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        return self.parallel(op, bounds, environment)


def largest_change(magnitude: Tensor, dtype: torch.dtype) -> Tensor:
    """Largest error of rounding numbers of at most this `magnitude` to `dtype`: half the gap between neighbours.

    float64 is rounded to float32 first where the type is narrower still, as torch and ONNX runtimes do.
    """
    limits = torch.finfo(dtype)
    _, exponent = torch.frexp(magnitude.detach())  # magnitude < 2^exponent
    half_gap = torch.ldexp(torch.full_like(magnitude, limits.eps / 4), exponent)
    half_gap = half_gap.clamp(min=limits.smallest_normal * limits.eps / 2)
    twice = magnitude.dtype == torch.float64 and limits.bits < 32
    return half_gap + largest_change(magnitude, torch.float32) if twice else half_gap
