"""Relaxations at extreme bounds: ReLUs in exact arithmetic, decided units, and units with NaN bounds."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from support.problems import CURVES, Problem

from autodual.dual import LinearRelaxation, RelaxationRule, RelaxedLayer, Rows, find_rule
from autodual.dual.relu import ReluRule
from autodual.interval import Interval
from autodual.ir import Environment, ops
from autodual.policies import SlopePolicy

TINY, HUGE = 5e-324, 1e308
#: Pairs ℓ ≤ u: ordinary, touching zero, single points, of extremely different magnitudes, and denormal.
ENDS = [
    (-1.0, 2.0),
    (-2.0, 1.0),
    (-1.0, 1.0),
    (0.0, 0.0),
    (-0.0, 0.0),
    (0.0, 1.0),
    (-1.0, 0.0),
    (0.5, 2.0),
    (-2.0, -0.5),
    (0.7, 0.7),
    (-0.7, -0.7),
    (-1.0, TINY),
    (-TINY, 1.0),
    (-TINY, TINY),
    (-TINY, 3 * TINY),
    (-3 * TINY, TINY),
    (0.0, TINY),
    (-TINY, 0.0),
    (-1.0, 1e-300),
    (-1e-300, 1.0),
    (-1e-160, 1e160),
    (-HUGE, 1.0),
    (-1.0, HUGE),
    (-HUGE / 2, HUGE / 2),
    (-HUGE, HUGE),
    (-HUGE, TINY),
    (-TINY, HUGE),
    (-1.0, math.nextafter(0, 1)),
    (-0.1, 0.3),
    (-1 / 3, 1 / 7),
]
POLICIES: tuple[SlopePolicy, ...] = ("shared", "adaptive")
every_policy = pytest.mark.parametrize("policy", POLICIES)
OP, RULE = ops.Relu(), ReluRule()
NOTHING = Environment({}.__getitem__, torch.float64, torch.device("cpu"))


def bounds_of(ends: list[tuple[float, float]]) -> Interval:
    lower, upper = (torch.tensor(side, dtype=torch.float64).unsqueeze(0) for side in zip(*ends))
    return Interval(lower, upper)


@every_policy
def test_relu_lines_are_finite_over_all_finite_bounds(policy: SlopePolicy) -> None:
    """Also where the width overflows."""
    found = RULE.relax(OP, [bounds_of(ENDS)], NOTHING, policy)
    for part in (*found.lower_slopes, *found.upper_slopes, found.lower_intercept, found.upper_intercept):
        assert bool(part.isfinite().all())


@every_policy
def test_decided_relus_are_relaxed_the_same_over_any_bounds_that_decide_them(policy: SlopePolicy) -> None:
    """To the last digit, so that skipping them changes nothing: each is compared with half of its interval."""
    decided = [(low, high) for low, high in ENDS if (low >= 0 or high <= 0) and not 0 < high - low <= TINY]
    bounds = bounds_of(decided)
    active, middle = bounds.lower >= 0, bounds.centre
    tighter = Interval(torch.where(active, bounds.lower, middle), torch.where(active, middle, bounds.upper))
    first, second = (RULE.relax(OP, [z], NOTHING, policy) for z in (bounds, tighter))
    assert not bool(any(RULE.undecided(OP, [z], NOTHING).any() for z in (bounds, tighter)))
    assert torch.equal(first.lower_slopes[0], second.lower_slopes[0])
    assert torch.equal(first.upper_slopes[0], second.upper_slopes[0])
    assert not bool((first.upper_intercept + first.lower_intercept.abs()).any())


@every_policy
@pytest.mark.parametrize("problem", CURVES, ids=str)
def test_nan_is_undecided_and_stays_nan(problem: Problem, policy: SlopePolicy) -> None:
    """A NaN bound must stay NaN, for every scalar."""
    rule = find_rule(problem.op)
    assert isinstance(rule, RelaxationRule)
    lower = torch.full((2, *problem.shapes[0]), math.nan, dtype=torch.float64)
    bounds = Interval(lower, lower.clone())
    mask = rule.undecided(problem.op, [bounds], problem.environment)
    assert isinstance(mask, torch.Tensor) and bool(mask.all())
    found = rule.layer(problem.op, [bounds], problem.environment, policy).interval([bounds])
    assert bool(found.lower.isnan().all() and found.upper.isnan().all())


def _exactly(number: float) -> Fraction:
    return Fraction(number)


@every_policy
def test_relu_lines_in_exact_arithmetic(policy: SlopePolicy) -> None:
    """Slopes and intercepts as computed, evaluated as fractions at ℓ, 0 and u, where a piecewise linear gap is least.

    No line may cut the function by more than rigorous bounds allow for: a few units in the last place.
    """
    ends = [(low, high) for low, high in ENDS if low < 0 < high]
    bounds = bounds_of(ends)
    found = RULE.relax(OP, [bounds], NOTHING, policy)
    for place, (low, high) in enumerate(ends):
        slack = 4 * Fraction(2) ** -53 * max(_exactly(-low), _exactly(high)) + _exactly(TINY)
        for point in (_exactly(low), Fraction(0), _exactly(high)):
            value = max(point, Fraction(0))
            under = _exactly(float(found.lower_slopes[0][0, place])) * point
            over = _exactly(float(found.upper_slopes[0][0, place])) * point
            assert under + _exactly(float(found.lower_intercept[0, place])) <= value + slack
            assert over + _exactly(float(found.upper_intercept[0, place])) >= value - slack


def test_relu_slopes_are_those_of_the_thesis() -> None:
    """u/(u − ℓ) and its intercept −uℓ/(u − ℓ) (equation 3.14); adaptive: the triangle of smaller area."""
    bounds = bounds_of([(-1.0, 3.0), (-3.0, 1.0), (-1.0, 1.0), (1.0, 2.0), (-2.0, -1.0)])
    shared, adaptive = (relaxed(OP, [bounds], NOTHING) for relaxed in (RULE.parallel, RULE.adaptive))
    assert shared.upper_slopes[0].tolist() == [[0.75, 0.25, 0.5, 1, 0]]
    assert shared.upper_intercept.tolist() == [[0.75, 0.75, 0.5, 0, 0]]
    assert adaptive.upper_slopes[0].tolist() == shared.upper_slopes[0].tolist()
    assert adaptive.lower_slopes[0].tolist() == [[1, 0, 0, 1, 0]]


def test_relaxed_ranges_are_those_of_the_lines() -> None:
    """A shared ReLU's relaxed range is [uℓ/(u − ℓ), u]: wider than relu's own, which makes skipping exact."""
    bounds = bounds_of([(-1.0, 3.0)])
    reach = RULE.layer(OP, [bounds], NOTHING, "shared").interval([bounds])
    assert (reach.lower.item(), reach.upper.item()) == (-0.75, 3.0)


def test_layers_take_any_two_lines() -> None:
    """A made-up relaxation of two inputs: z₀ + ½ z₁ − 1 from below, z₀ + ½ z₁ + 1 from above."""
    ones = torch.ones(1, 2, dtype=torch.float64)
    lines = LinearRelaxation((ones, 0.5 * ones), (ones, 0.5 * ones), -ones, ones)
    bounds = [Interval(-2 * ones, 2 * ones), Interval(-2 * ones, 2 * ones)]
    layer = RelaxedLayer(lines)
    assert not layer.linear, "equal slopes in two tuples are not known to be parallel"
    rows = Rows(torch.tensor([[[1.0, -1.0]]], dtype=torch.float64), (2,))
    first, second = layer.pull(rows)
    assert first.values.tolist() == [[[1, -1]]] and second.values.tolist() == [[[0.5, -0.5]]]
    centre = layer.objective(rows).centre
    assert centre is not None and centre.tolist() == [[-2]]
    reach = layer.interval(bounds)
    assert reach.lower.tolist() == [[-4, -4]] and reach.upper.tolist() == [[4, 4]]
