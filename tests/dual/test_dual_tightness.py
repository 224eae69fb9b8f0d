"""Relaxations are within 1 % of the tightest lines there are, found by brute force that uses no rule.

Of all lines above a function, the least area with it has the one that is lowest at the middle. For a slope s the lowest
line is at max(f - s·z), so its height at the middle is s·m + max(f - s·z): convex in s, and minimised here by golden
sections over densely sampled values. The least vertical distance of parallel lines is max(f - s·z) - min(f - s·z),
convex in s as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from support.problems import CURVES, Problem
from torch import Tensor

from autodual.dual import LinearRelaxation, RelaxationRule, find_rule
from autodual.interval import Interval
from autodual.ir import Parameter, ops


def leaky_relu(slope: float) -> Problem:
    made = {"s": torch.tensor(slope, dtype=torch.float64)}
    return Problem(f"leaky relu {slope}", ops.LeakyRelu(Parameter("s")), ((1,),), made, ((-1.0, 1.0), (-2.0, 0.1)))


SAMPLES = 1201
GOLDEN = (math.sqrt(5) - 1) / 2
JUMPING = ("sign", "step", "floor", "ceil", "round", "remainder", "cast")
#: Functions without jumps, over intervals on which double precision resolves 1 % of their relaxation's width.
CONTINUOUS = [
    *(problem for problem in CURVES if problem.op.kind not in (*JUMPING, "leaky_relu")),
    *(leaky_relu(slope) for slope in (0.1, -1.0, 2.0)),
]
INTERVALS = 40


def intervals(problem: Problem) -> Interval:
    """Random ones of widths between 0.001 and 20, and the problem's own, around the function's bends: `[N, 1]`."""
    generator = torch.Generator().manual_seed(4)
    low, high = problem.domain
    centre = 4 * torch.randn(INTERVALS, generator=generator, dtype=torch.float64)
    width = torch.exp(torch.rand(INTERVALS, generator=generator, dtype=torch.float64) * math.log(2e4)) / 1000
    if math.isfinite(low) and math.isfinite(high):
        ends = torch.rand(2, INTERVALS, generator=generator, dtype=torch.float64) * (high - low) + low
        lower, upper = ends.amin(0), ends.amax(0)
    elif math.isfinite(low) or math.isfinite(high):
        edge, sign = (low, 1) if math.isfinite(low) else (high, -1)
        near, far = edge + sign * centre.abs(), edge + sign * (centre.abs() + width)
        lower, upper = near.minimum(far), near.maximum(far)
    else:
        lower, upper = centre - width / 2, centre + width / 2
    given = torch.tensor([pair for pair in problem.bounds if pair[1] - pair[0] > 1e-3], dtype=torch.float64)
    given = given.reshape(-1, 2)
    return Interval(torch.cat([lower, given[:, 0]]).unsqueeze(1), torch.cat([upper, given[:, 1]]).unsqueeze(1))


def least(cost: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """The least value of a convex function of one scalar `[N]` between `low` and `high`, by golden sections."""
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    for _ in range(48):
        left = cost(a) < cost(b)
        low, high = torch.where(left, low, a), torch.where(left, b, high)
        a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    return cost((low + high) / 2)


class Sampled:
    """A function's values `[P, N]` at points `[P, N]` spread over intervals, knots of the problem among them."""

    def __init__(self, problem: Problem, bounds: Interval):
        parts = torch.linspace(0, 1, SAMPLES, dtype=torch.float64).unsqueeze(1)
        even = bounds.lower.T * (1 - parts) + bounds.upper.T * parts
        ends = sorted({end for pair in problem.bounds for end in pair})
        knots = torch.tensor(ends, dtype=torch.float64).unsqueeze(1).clamp(bounds.lower.T, bounds.upper.T)
        self.points = torch.cat([even, knots])
        self.values = problem.op.forward([self.points], problem.environment)
        steps = self.values[:SAMPLES].diff(dim=0) / even.diff(dim=0)
        self.flattest, self.steepest = steps.amin(0), steps.amax(0)
        self.middle = bounds.centre[:, 0]

    def above(self, slope: Tensor) -> Tensor:
        """max(f - slope·z), `[N]`."""
        return (self.values - slope * self.points).amax(0)

    def below(self, slope: Tensor) -> Tensor:
        """min(f - slope·z), `[N]`."""
        return (self.values - slope * self.points).amin(0)

    def least_height(self) -> Tensor:
        """Mean distance of the tightest pair of lines: how much higher the upper one is at the middle."""
        top = least(lambda s: s * self.middle + self.above(s), self.flattest, self.steepest)
        bottom = least(lambda s: -s * self.middle - self.below(s), self.flattest, self.steepest)
        return top + bottom

    def least_distance(self) -> Tensor:
        """Distance of the tightest parallel pair."""
        return least(lambda s: self.above(s) - self.below(s), self.flattest, self.steepest)


def height(found: LinearRelaxation, bounds: Interval) -> Tensor:
    """Mean distance of the two lines, `[N]`."""
    slope = found.upper_slopes[0] - found.lower_slopes[0]
    return (found.upper_intercept - found.lower_intercept + slope * bounds.centre)[:, 0]


def compared(problem: Problem, policy: str) -> tuple[Interval, Tensor, Tensor]:
    """Intervals, the mean distance of the rule's lines, and the least possible."""
    rule, bounds = find_rule(problem.op), intervals(problem)
    assert isinstance(rule, RelaxationRule)
    sampled = Sampled(problem, bounds)
    if policy == "adaptive":
        found, best = rule.adaptive(problem.op, [bounds], problem.environment), sampled.least_height()
    else:
        found, best = rule.parallel(problem.op, [bounds], problem.environment), sampled.least_distance()
    return bounds, height(found, bounds), best


def rounding(problem: Problem, bounds: Interval) -> Tensor:
    """Rounding error of a distance in double precision; for softplus also torch's step at its threshold."""
    values = problem.op.forward([bounds.magnitude], problem.environment).abs().nan_to_num(0.0)
    step = math.log1p(math.exp(-problem.op.threshold)) / problem.op.beta if problem.op.kind == "softplus" else 0.0
    return 1e-12 * (1 + bounds.magnitude + values)[:, 0] + 1.01 * step


@pytest.mark.parametrize("policy", ["adaptive", "shared"])
@pytest.mark.parametrize("problem", CONTINUOUS, ids=str)
def test_lines_are_within_a_hundredth_of_the_tightest(problem: Problem, policy: str) -> None:
    """Nor are they tighter, apart from the sampling error: that would show the brute force to be wrong."""
    bounds, found, best = compared(problem, policy)
    room = rounding(problem, bounds)
    excess = found - 1.01 * best - room
    worst = int(excess.argmax())
    place = f"[{float(bounds.lower[worst])}, {float(bounds.upper[worst])}]"
    assert float(excess[worst]) <= 0, (
        f"{float(found[worst]):.6g} over {place}, where {float(best[worst]):.6g} is enough"
    )
    between = 1e-4 * best + 1e-6 * (bounds.upper - bounds.lower)[:, 0]
    assert bool((best <= found + between + room).all())
