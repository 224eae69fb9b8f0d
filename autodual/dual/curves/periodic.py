"""The rule of sines, shifted ones included."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.curves.lines import tightest_pair, tightest_parallel
from autodual.dual.execution import LIBRARY, Executed, Run
from autodual.dual.relaxation import LinearRelaxation
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.interval import Interval
from autodual.ir.expressions import Environment
from autodual.ir.scalars import Curve, WaveOp


class WaveRule(RelaxationRule):
    """Lines around sines. The inflection before the interval is moved to 0, and the wave mirrored if it falls there.

    It is then concave on [0, π], convex on [π, 2π], and so on. Over two periods or more no lines are better than ±1.
    """

    def limits(self, op: WaveOp) -> tuple[float, float]:
        return -1.0, 1.0

    def executed(self, op: WaveOp, operands: Sequence[Executed], run: Run) -> Tensor:
        """No slope or value exceeds 1 in size."""
        return operands[0].error.clamp(max=2) + LIBRARY * run.precision.unit

    def undecided(self, op: WaveOp, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        (z,) = bounds
        return ~(z.lower == z.upper)

    def range(self, op: WaveOp, bounds: Sequence[Interval], environment: Environment) -> Interval:
        (z,) = bounds
        crest = op.start + math.pi / 2
        first, last = op.function(z.lower), op.function(z.upper)
        lower, upper = first.minimum(last), first.maximum(last)
        lower = torch.where(_contains(z, crest + math.pi), -torch.ones_like(lower), lower)
        upper = torch.where(_contains(z, crest), torch.ones_like(upper), upper)
        return Interval(_nan_as(lower, z), _nan_as(upper, z))

    def parallel(self, op: WaveOp, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        return _waved(op, bounds[0], shared=True)

    def adaptive(self, op: WaveOp, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        return _waved(op, bounds[0], shared=False)


#: sin on [0, 5π], which contains every moved interval of less than two periods: concave, convex, …, concave.
_WAVE = Curve(
    torch.sin,
    torch.cos,
    inflections=tuple(place * math.pi for place in (1, 2, 3, 4)),
    convex=False,
    bitangents=tuple((place, ((place - 0.5) * math.pi, (place + 1.5) * math.pi)) for place in (1, 2, 3)),
)
_LONG = 4 * math.pi


def _contains(z: Interval, point: float) -> Tensor:
    """Where some point + 2πk lies within bounds, or so close to them that rounding cannot tell."""
    slack = 4 * torch.finfo(z.lower.dtype).eps * (z.magnitude + 1)
    return ((z.lower - slack - point) / (2 * math.pi)).ceil() <= ((z.upper + slack - point) / (2 * math.pi)).floor()


def _nan_as(value: Tensor, z: Interval) -> Tensor:
    return torch.where(z.lower.isnan() | z.upper.isnan(), torch.full_like(value, math.nan), value)


def _waved(op: WaveOp, bounds: Interval, *, shared: bool) -> LinearRelaxation:
    waves = ((bounds.lower.detach() - op.start) / math.pi).floor()
    origin = waves * math.pi + op.start
    rising = 1 - 2 * (waves - 2 * (waves / 2).floor())
    # Longer intervals get the lines ±1; here zeros stand in for them, to keep the arithmetic finite.
    short = bounds.upper - bounds.lower < _LONG
    near = bounds.map(lambda end: torch.where(short, end - origin, torch.zeros_like(end)))
    found = tightest_parallel(_WAVE, near) if shared else tightest_pair(_WAVE, near)
    # Bound of the rounding errors in the origin, and in moving there and back.
    slack = 4 * torch.finfo(origin.dtype).eps * (bounds.magnitude + 8)
    low, high = (torch.where(short, rising * slope[0], 0.0) for slope in (found.lower_slopes, found.upper_slopes))
    below = torch.where(rising > 0, found.lower_intercept, -found.upper_intercept)
    above = torch.where(rising > 0, found.upper_intercept, -found.lower_intercept)
    low, high = torch.where(rising > 0, low, high), torch.where(rising > 0, high, low)
    below = _nan_as(torch.where(short, below - low * origin - slack, -1.0), bounds)
    above = _nan_as(torch.where(short, above - high * origin + slack, 1.0), bounds)
    slopes = (low,)
    return LinearRelaxation(slopes, slopes if shared else (high,), below, above)
