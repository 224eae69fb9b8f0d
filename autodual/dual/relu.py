"""The rules of rectified linear units (Theorem 1, equations 3.14 to 3.16), leaky ones included."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from autodual.dual.execution import Executed, Run
from autodual.dual.family import LineFamily
from autodual.dual.registry import dual_rule
from autodual.dual.relaxation import LinearRelaxation
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment


def crosses_zero(z: Interval) -> Tensor:
    """Where the sign of `z` is not known, NaN included."""
    return ~((z.lower >= 0) | (z.upper <= 0))


def chord(z: Interval) -> tuple[Tensor, Tensor]:
    """Slope and intercept of the line from (ℓ, 0) to (u, u) for `z` in [ℓ, u]; (1, 0) if active, (0, 0) if inactive."""
    # A decided unit's chord is that of the part of its interval on one side of zero: u/u = 1, or 0/-ℓ = 0.
    lower, upper = z.lower.clamp(max=0), z.upper.clamp(min=0)
    # Keep the divisor positive where both ends are zero, and where their difference is too small to divide by.
    slope = upper / (upper - lower).clamp_(min=torch.finfo(upper.dtype).tiny)
    # The larger of what the two ends need, -slope·ℓ and u - slope·u: they differ by rounding, which must not let the
    # line cut the function. In place, since touching new memory costs more than the arithmetic.
    return slope, (slope * lower).minimum((slope * upper).sub_(upper)).neg_()


def smaller_triangle(z: Interval) -> Tensor:
    """The lower line's slope for `z` in [ℓ, u]: 1 where u > -ℓ, else 0; the function's own where the sign is known."""
    return (z.upper.detach() + z.lower.detach()).gt_(0.0)


def _nothing(like: Tensor) -> Tensor:
    """Zeros of a tensor's shape, in the memory of one."""
    return like.new_zeros(()).expand_as(like)


@dual_rule(ops.Relu)
class ReluRule(RelaxationRule):
    """Above by the chord from (ℓ, 0) to (u, u); below by a line of slope α ∈ [0, 1] through the origin."""

    source = "Theorem 1, equations 3.14 to 3.16"

    contained = False
    exact = True

    def limits(self, op: ops.Relu) -> tuple[float, float]:
        return 0.0, math.inf

    def executed(self, op: ops.Relu, operands: Sequence[Executed], run: Run) -> Tensor:
        (z,) = operands
        return z.error.masked_fill(z.reached.upper <= 0, 0.0)

    def undecided(self, op: ops.Relu, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        return crosses_zero(bounds[0])

    def range(self, op: ops.Relu, bounds: Sequence[Interval], environment: Environment) -> Interval:
        return bounds[0].map(torch.relu)

    def parallel(self, op: ops.Relu, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        """α = u/(u - ℓ), the chord's own slope: the thesis' choice, linear in ν."""
        slope, intercept = chord(bounds[0])
        slopes = (slope,)
        return LinearRelaxation(slopes, slopes, _nothing(slope), intercept, grounded=True)

    def adaptive(self, op: ops.Relu, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        """α = 1 where u > -ℓ, else 0: the smaller of the two extreme triangles."""
        slope, intercept = chord(bounds[0])
        lower = smaller_triangle(bounds[0])
        return LinearRelaxation((lower,), (slope,), _nothing(slope), intercept, grounded=True)

    def family(self, op: ops.Relu, bounds: Sequence[Interval], environment: Environment) -> LineFamily:
        """t is α itself: every lower slope in [0, 1]."""
        adaptive = self.adaptive(op, bounds, environment)
        (lower,), crossing = adaptive.lower_slopes, crosses_zero(bounds[0])
        flat, steep = (replace(adaptive, lower_slopes=(torch.where(crossing, end, lower),)) for end in (0.0, 1.0))
        return LineFamily(flat, steep, start=lower, parallel=adaptive.upper_slopes[0])

    def family_in_ball(self, op: ops.Relu, bounds: Sequence[Interval], environment: Environment) -> LineFamily:
        """t is the slope of both lines; the search starts from the chord's."""
        (z,), adaptive = bounds, self.adaptive(op, bounds, environment)
        (straight,), crossing = adaptive.upper_slopes, crosses_zero(z)
        ends = []
        for slope, height in ((0.0, z.upper), (1.0, -z.lower)):
            slopes = (torch.where(crossing, slope, straight),)
            above = torch.where(crossing, height, adaptive.upper_intercept)
            ends.append(replace(adaptive, lower_slopes=slopes, upper_slopes=slopes, upper_intercept=above))
        flat, steep = ends
        return LineFamily(flat, steep, start=straight, parallel=straight)

    def steepness(self, op: ops.Relu, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        return torch.ones_like(bounds[0].lower.flatten()[:1])

    def cuts(self, op: ops.Relu, bounds: Interval) -> Sequence[Tensor]:
        return [torch.zeros_like(bounds.lower)]

    def split_points(self, op: ops.Relu, bounds: Interval) -> Sequence[Tensor]:
        return self.cuts(op, bounds)


@dual_rule(ops.LeakyRelu)
class LeakyReluRule(RelaxationRule):
    """Convex where the leak is at most 1, else concave; one line is the chord, the other goes through the origin."""

    source = "Theorem 1, equations 3.14 to 3.16"

    contained = False

    def executed(self, op: ops.LeakyRelu, operands: Sequence[Executed], run: Run) -> Tensor:
        """Errors grow by the leak or by 1, whichever is more; below zero the product with the leak is rounded."""
        (z,) = operands
        leak = run.environment(op.slope).abs()
        own = run.errors(op.slope) + run.precision.unit * leak
        return z.error * leak.clamp(min=1) + own * z.size * (1 + run.precision.unit)

    def undecided(self, op: ops.LeakyRelu, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        return crosses_zero(bounds[0])

    def range(self, op: ops.LeakyRelu, bounds: Sequence[Interval], environment: Environment) -> Interval:
        (z,) = bounds
        ends = [op.forward([end], environment) for end in (z.lower, z.upper)]
        lower, upper = ends[0].minimum(ends[1]), ends[0].maximum(ends[1])
        crossing = crosses_zero(z)
        return Interval(
            torch.where(crossing, lower.clamp(max=0), lower), torch.where(crossing, upper.clamp(min=0), upper)
        )

    def parallel(self, op: ops.LeakyRelu, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        slope, height = _leaky_chord(bounds[0], environment(op.slope))
        slopes = (slope,)
        return LinearRelaxation(slopes, slopes, height.clamp(max=0), height.clamp(min=0))

    def adaptive(self, op: ops.LeakyRelu, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        return self._through_origin(op, bounds[0], environment, bounds[0].upper > -bounds[0].lower)

    def family(self, op: ops.LeakyRelu, bounds: Sequence[Interval], environment: Environment) -> LineFamily:
        """Lines through the origin with all slopes from the leak (t = 0) to 1 (t = 1)."""
        steep = bounds[0].upper > -bounds[0].lower
        every = torch.ones_like(steep)
        leak, one = (self._through_origin(op, bounds[0], environment, mask) for mask in (~every, every))
        slope, straight = environment(op.slope), _leaky_chord(bounds[0], environment(op.slope))[0]
        # A leak of 1 is no leak: all lines are one then.
        share = ((straight - slope) / torch.where(slope == 1, 1.0, 1 - slope)).clamp(0.0, 1.0)
        return LineFamily(leak, one, start=steep.to(bounds[0].upper.dtype), parallel=share)

    def steepness(self, op: ops.LeakyRelu, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        return environment(op.slope).abs().clamp(min=1).reshape(1)

    def cuts(self, op: ops.LeakyRelu, bounds: Interval) -> Sequence[Tensor]:
        return [torch.zeros_like(bounds.lower)]

    def split_points(self, op: ops.LeakyRelu, bounds: Interval) -> Sequence[Tensor]:
        return self.cuts(op, bounds)

    def _through_origin(
        self, op: ops.LeakyRelu, z: Interval, environment: Environment, steep: Tensor
    ) -> LinearRelaxation:
        """The line through the origin has the slope 1 where `steep`, else the leak."""
        leak = environment(op.slope)
        straight, height = _leaky_chord(z, leak)
        extreme = torch.where(steep, torch.ones_like(straight), leak.expand_as(straight))
        curved = torch.where(crosses_zero(z), extreme, straight)
        up = (leak <= 1).expand_as(straight)
        lower, upper = torch.where(up, curved, straight), torch.where(up, straight, curved)
        return LinearRelaxation((lower,), (upper,), height.clamp(max=0), height.clamp(min=0))


def _leaky_chord(z: Interval, leak: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and intercept of the line from (ℓ, leak·ℓ) to (u, u); the function's own line where the sign is known.

    The slope is not computed as leak + (1 - leak)·slope, which cancels where the leak is large.
    """
    undecided = crosses_zero(z)
    width = torch.where(undecided, z.upper - z.lower, torch.ones_like(z.upper))
    decided = torch.where(z.lower >= 0, torch.ones_like(z.lower), leak.expand_as(z.lower))
    slope = torch.where(undecided, (z.upper - leak * z.lower) / width, decided)
    ends = leak * z.lower - slope * z.lower, z.upper - slope * z.upper
    # What the two ends need differs by rounding, which must not let the line cut the function.
    height = torch.where(leak <= 1, ends[0].maximum(ends[1]), ends[0].minimum(ends[1]))
    return slope, torch.where(undecided, height, torch.zeros_like(height))
