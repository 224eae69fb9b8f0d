"""The contract of relaxations: both lines enclose the op over its bounds, in every corner of arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from support.problems import RELAXED, Problem, normal, relaxation
from torch import Tensor

from autodual.dual import LinearRelaxation, RelaxedLayer, Rows
from autodual.interval import Interval
from autodual.policies import SlopePolicy

TINY, HUGE = 5e-324, 1e308
#: Pairs ℓ ≤ u: ordinary, touching zero, of one point, lopsided by the whole range of floating point, and denormal.
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
every_problem = pytest.mark.parametrize("problem", RELAXED, ids=str)


def bounds_of(ends: list[tuple[float, float]]) -> Interval:
    lower, upper = (torch.tensor(side, dtype=torch.float64).unsqueeze(0) for side in zip(*ends))
    return Interval(lower, upper)


def grid(bounds: Interval, count: int = 41) -> Tensor:
    """Points `[P, *shape]` between the bounds, which are among them, as is zero where it lies between."""
    steps = torch.linspace(0, 1, count, dtype=torch.float64).view(-1, *[1] * bounds.lower.dim())
    points = bounds.lower * (1 - steps) + bounds.upper * steps
    zero = torch.zeros_like(bounds.lower).clamp(bounds.lower, bounds.upper).unsqueeze(0)
    return torch.cat([points.clamp(bounds.lower, bounds.upper), zero])


def line(slopes: tuple[Tensor, ...], intercept: Tensor, points: Tensor) -> Tensor:
    return slopes[0] * points + intercept


@every_problem
@every_policy
def test_the_lines_enclose_the_op(problem: Problem, policy: SlopePolicy) -> None:
    """But for the rounding of evaluating slope·z + intercept here."""
    bounds = bounds_of(ENDS)
    found = relaxation(problem).relax(problem.op, [bounds], problem.environment, policy)
    points = grid(bounds)
    value = problem.op.forward([points], problem.environment)
    slack = 4 * torch.finfo(torch.float64).eps * bounds.magnitude + TINY
    assert bool((line(found.lower_slopes, found.lower_intercept, points) <= value + slack).all())
    assert bool((line(found.upper_slopes, found.upper_intercept, points) >= value - slack).all())
    for part in (*found.lower_slopes, *found.upper_slopes, found.lower_intercept, found.upper_intercept):
        assert bool(part.isfinite().all())


@every_problem
@every_policy
def test_range_and_layer_enclose_what_lies_between_the_lines(problem: Problem, policy: SlopePolicy) -> None:
    bounds = bounds_of([(low, high) for low, high in ENDS if max(-low, high) < 1e100])
    rule = relaxation(problem)
    found, layer = (
        rule.relax(problem.op, [bounds], problem.environment, policy),
        rule.layer(problem.op, [bounds], problem.environment, policy),
    )
    points, value = grid(bounds), problem.op.forward([grid(bounds)], problem.environment)
    reach = layer.interval([bounds])
    for inside in (value, line(found.lower_slopes, found.lower_intercept, points)):
        assert bool((inside >= reach.lower - 1e-12).all())
    for inside in (value, line(found.upper_slopes, found.upper_intercept, points)):
        assert bool((inside <= reach.upper + 1e-12).all())


@every_problem
def test_parallel_lines_are_linear_and_others_are_not_claimed_to_be(problem: Problem) -> None:
    bounds = bounds_of(ENDS)
    rule = relaxation(problem)
    assert (
        rule.parallel(problem.op, [bounds], problem.environment).parallel
        and rule.layer(problem.op, [bounds], problem.environment, "shared").linear
    )
    assert (
        not rule.adaptive(problem.op, [bounds], problem.environment).parallel
        and not rule.layer(problem.op, [bounds], problem.environment, "adaptive").linear
    )


@every_problem
@every_policy
def test_decided_units_are_relaxed_the_same_over_any_bounds_that_decide_them(
    problem: Problem, policy: SlopePolicy
) -> None:
    """What makes skipping them right: half of an interval decides what the whole one did."""
    decided = [(low, high) for low, high in ENDS if (low >= 0 or high <= 0) and not 0 < high - low <= TINY]
    bounds, rule = bounds_of(decided), relaxation(problem)
    active, middle = bounds.lower >= 0, bounds.centre
    tighter = Interval(torch.where(active, bounds.lower, middle), torch.where(active, middle, bounds.upper))
    first, second = (rule.relax(problem.op, [z], problem.environment, policy) for z in (bounds, tighter))
    assert not bool(any(rule.undecided(problem.op, [z], problem.environment).any() for z in (bounds, tighter)))
    assert torch.equal(first.lower_slopes[0], second.lower_slopes[0])
    assert torch.equal(first.upper_slopes[0], second.upper_slopes[0])
    assert not bool((first.upper_intercept + first.lower_intercept.abs()).any())


@every_problem
@every_policy
def test_nan_is_undecided_and_stays_nan(problem: Problem, policy: SlopePolicy) -> None:
    """A bound that is no number must never become one."""
    bounds = Interval(torch.tensor([[math.nan, -1.0, math.nan]]), torch.tensor([[1.0, math.nan, math.nan]]))
    rule = relaxation(problem)
    assert bool(rule.undecided(problem.op, [bounds], problem.environment).all())
    assert bool(rule.layer(problem.op, [bounds], problem.environment, policy).interval([bounds]).upper.isnan().all())


@every_problem
@every_policy
def test_layers_bound_the_op_for_any_row(problem: Problem, policy: SlopePolicy) -> None:
    """⟨ν, op(z)⟩ ≥ ⟨pull ν, z⟩ + centre − width between the bounds; ≤ with + width where the layer is linear."""
    bounds = bounds_of([(low, high) for low, high in ENDS if max(-low, high) < 1e100])
    layer = relaxation(problem).layer(problem.op, [bounds], problem.environment, policy)
    size = bounds.lower.shape[1]
    rows = Rows(torch.cat([normal(1, 6, size), torch.zeros(1, 1, size).double()], 1), (size,))
    points = grid(bounds)[:, 0]
    (pulled,), paid = layer.pull(rows), layer.objective(rows)
    value = problem.op.forward([points], problem.environment) @ rows.values[0].T
    centre = points @ pulled.values[0].T + paid.centre
    width = torch.zeros_like(centre) if paid.width is None else paid.width
    assert bool((width >= 0).all())
    assert bool((value >= centre - width - 1e-12).all())
    if layer.linear:
        assert bool((value <= centre + width + 1e-12).all())


@every_problem
def test_push_is_the_adjoint_of_pull(problem: Problem) -> None:
    """⟨ν, push v⟩ = ⟨pull ν, v⟩ per sample, also for directions that belong to chosen samples."""
    bounds = Interval(-normal(3, 2, 4).abs(), normal(3, 2, 4, seed=1).abs() - 0.4)
    bounds = Interval(bounds.lower.minimum(bounds.upper), bounds.upper)
    layer = relaxation(problem).layer(problem.op, [bounds], problem.environment, "shared")
    owner = torch.tensor([2, 0, 0, 1])
    rows = Rows(normal(4, 5, 2, 4, seed=2), (2, 4), owner=owner)
    direction = normal(4, 2, 4, seed=3)
    moved = layer.for_owners(owner).push([direction])
    first = torch.einsum("gkab,gab->gk", rows.values, moved)
    second = torch.einsum("gkab,gab->gk", layer.pull(rows)[0].values, direction)
    torch.testing.assert_close(first, second, atol=1e-12, rtol=1e-12)


def _exactly(number: float) -> Fraction:
    return Fraction(number)


@every_policy
def test_relu_lines_in_exact_arithmetic(policy: SlopePolicy) -> None:
    """Slopes and intercepts as computed, evaluated as fractions at ℓ, 0 and u, where a piecewise linear gap is least.

    No line may cut the function by more than rigorous bounds charge for: a few units in the last place.
    """
    ends = [(low, high) for low, high in ENDS if low < 0 < high]
    bounds = bounds_of(ends)
    found = relaxation(RELAXED[0]).relax(RELAXED[0].op, [bounds], RELAXED[0].environment, policy)
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
    rule = relaxation(RELAXED[0])
    shared, adaptive = (
        relaxed(RELAXED[0].op, [bounds], RELAXED[0].environment) for relaxed in (rule.parallel, rule.adaptive)
    )
    assert shared.upper_slopes[0].tolist() == [[0.75, 0.25, 0.5, 1, 0]]
    assert shared.upper_intercept.tolist() == [[0.75, 0.75, 0.5, 0, 0]]
    assert adaptive.upper_slopes[0].tolist() == shared.upper_slopes[0].tolist()
    assert adaptive.lower_slopes[0].tolist() == [[1, 0, 0, 1, 0]]


def test_relaxed_ranges_are_those_of_the_lines() -> None:
    """A shared ReLU's relaxed range is [uℓ/(u − ℓ), u]: wider than its own, which is what makes skipping exact."""
    bounds = bounds_of([(-1.0, 3.0)])
    reach = relaxation(RELAXED[0]).layer([bounds], "shared").interval([bounds])
    assert (reach.lower.item(), reach.upper.item()) == (-0.75, 3.0)


def test_layers_of_any_two_lines_work() -> None:
    """What a relaxation of several inputs needs of the layer, with a made-up one: z₀ + z₁ within lines of its own."""
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
