"""Regions as sets of points: membership, projection, linear maximisers, sampling, selection, dtypes."""

from __future__ import annotations

import numpy
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.perturbations import L1Ball, L2Ball, LinfBall, LpBall, WholeView
from autodual.perturbations.regions.region import Region

VIEW = WholeView()


def test_sampled_points_lie_inside_and_in_the_enclosure(problem, generator):
    region = problem.set.at(problem.x)
    for points in (region.sample(300, generator), region.corners(300, generator)):
        assert points.shape == (300, *problem.x.shape)
        assert region.contains(points).all()
        box = region.enclosure()
        assert ((points >= box.lower - 1e-12) & (points <= box.upper + 1e-12)).all()


def test_sampling_is_reproducible(problem):
    region = problem.set.at(problem.x)
    first, second = (region.sample(3, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_projections_lie_inside_with_no_tolerance(problem, dtype, scale, generator):
    region = problem.set.at(problem.x).to(dtype)
    points = region.centre + scale * torch.randn(50, *problem.x.shape, dtype=dtype, generator=generator)
    assert region.contains(region.project(points)).all()


def test_projection_leaves_inner_points_alone(problem, generator):
    region = problem.set.at(problem.x)
    points = region.sample(20, generator)
    assert torch.equal(region.project(points), points)


def test_steepest_points_lie_inside_and_beat_every_sample(problem, generator):
    region = problem.set.at(problem.x)
    gradient = torch.randn(problem.x.shape, dtype=torch.float64, generator=generator)
    best = region.steepest(gradient)
    assert region.contains(best).all()
    others = torch.cat([region.sample(500, generator), region.corners(500, generator)])
    advantage = ((best - others) * gradient).flatten(2).sum(2)
    loose = 0.0 if problem.exact else 0.02
    assert (advantage >= -loose - 1e-12).all()


def test_zero_gradient_stays_finite_and_inside(problem):
    region = problem.set.at(problem.x)
    zero = torch.zeros_like(problem.x)
    assert region.contains(region.steepest(zero)).all()
    assert torch.equal(region.direction(zero), zero)


def test_points_with_nan_are_not_contained(problem):
    region = problem.set.at(problem.x)
    points = region.sample(1)[0]
    points[1, 0, 0, 0] = torch.nan
    assert region.contains(points).tolist() == [True, False, True]


def test_tolerance_is_in_units_of_the_radius():
    x = torch.zeros(1, 2, dtype=torch.float64)
    for ball in (LinfBall(1.0), L2Ball(1.0), L1Ball(1.0), LpBall(3, 1.0), L2Ball(1.0, (-2, 2))):
        region = ball.at(x)
        point = torch.tensor([[1.05, 0.0]], dtype=torch.float64)
        assert not region.contains(point)
        assert not region.contains(point, tolerance=0.04)
        assert region.contains(point, tolerance=0.06)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("domain", [None, (0.0, 1.0)])
def test_projection_is_euclidean(order, domain, generator):
    x = torch.rand(4, 3, dtype=torch.float64, generator=generator)
    x[:, 0] = -0.1
    region = LpBall(order, 0.5, domain).at(x)
    points = x + torch.randn(x.shape, dtype=torch.float64, generator=generator)
    found = region.project(points)
    for sample in range(len(x)):
        best = _nearest(points[sample].numpy(), x[sample].numpy(), 0.5, order, domain)
        distance = float((found[sample] - points[sample]).norm())
        assert distance == pytest.approx(best, abs=1e-5)


def _nearest(point: numpy.ndarray, x: numpy.ndarray, radius: float, order: int, domain) -> float:
    """The distance to the region by a general solver; z − x is split in two parts, so that the l1 norm is smooth."""
    size = len(x)

    def moved(parts: numpy.ndarray) -> numpy.ndarray:
        return x + parts[:size] - parts[size:]

    def slack(parts: numpy.ndarray) -> float:
        if order == 1:
            return radius - parts.sum()
        return radius**2 - ((moved(parts) - x) ** 2).sum()

    constraints = [{"type": "ineq", "fun": slack}]
    if domain is not None:
        constraints.append({"type": "ineq", "fun": lambda parts: moved(parts) - domain[0]})
        constraints.append({"type": "ineq", "fun": lambda parts: domain[1] - moved(parts)})
    options = {"maxiter": 500, "ftol": 1e-14}
    inside = numpy.concatenate([numpy.clip(x, 0, 1) - x, numpy.zeros(size)])
    # On some machines the solver ends at infeasible points from some starts, so only feasible results count.
    results = [
        minimize(
            lambda parts: ((moved(parts) - point) ** 2).sum(),
            inside + start,
            bounds=[(0, None)] * (2 * size),
            constraints=constraints,
            options=options,
        )
        for start in (0.0, 0.01, 0.05)
    ]
    feasible = [result.fun for result in results if all((part["fun"](result.x) >= -1e-9).all() for part in constraints)]
    return float(numpy.sqrt(min(feasible)))


def test_l1_projection_agrees_with_sorting(generator):
    x = torch.zeros(6, 10, dtype=torch.float64)
    points = torch.randn(6, 10, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(L1Ball(1.0).at(x).project(points), torch.stack([_by_sorting(p, 1.0) for p in points]))


def _by_sorting(point: Tensor, radius: float) -> Tensor:
    """The textbook algorithm: of the candidate thresholds, the last one that lies below its sorted entry."""
    ordered = point.abs().sort(descending=True).values
    thresholds = (ordered.cumsum(0) - radius) / torch.arange(1, len(point) + 1)
    threshold = thresholds[ordered > thresholds][-1]
    return point.sign() * (point.abs() - threshold).relu()


def test_selection_keeps_each_samples_set(problem, generator):
    whole = problem.set.at(problem.x)
    for index in (torch.tensor([2, 0]), slice(1, 3), torch.tensor([True, False, True])):
        part = whole.select(index)
        assert part.count == 2
        nu = torch.randn(3, 4, *problem.x.shape[1:], dtype=torch.float64, generator=generator)
        expected = whole.extremes(nu, VIEW)
        for found, all_ in zip(part.extremes(nu[index], VIEW), expected, strict=True):
            torch.testing.assert_close(found, all_[index])
        _assert_same_box(part, problem.set.at(problem.x).select(index).to(torch.float32).to(torch.float64))


def _assert_same_box(first: Region, second: Region) -> None:
    torch.testing.assert_close(first.enclosure().lower, second.enclosure().lower, rtol=0, atol=1e-6)
    torch.testing.assert_close(first.enclosure().upper, second.enclosure().upper, rtol=0, atol=1e-6)


def test_empty_batch_and_selection(problem):
    region = problem.set.at(problem.x).select(slice(0, 0))
    assert region.count == 0
    nu = torch.zeros(0, 2, *region.shape, dtype=torch.float64)
    assert region.extremes(nu, VIEW)[0].shape == (0, 2)
    none = problem.x[:0]
    assert region.project(none).shape == region.steepest(none).shape == none.shape
    assert region.contains(none).shape == (0,) and region.sample(3).shape == (3, *none.shape)
    with pytest.raises(InvalidInputError, match="holds no samples"):
        LinfBall(0.1).at(problem.x[:0])


def test_rounding_covers_single_precision(problem):
    single = problem.set.at(problem.x.float())
    double = single.to(torch.float64)
    allowed = single.rounding().double()
    assert allowed.shape == problem.x.shape
    widened = single.enclosure().map(Tensor.double).widen(allowed)
    assert (widened.lower <= double.enclosure().lower).all()
    assert (widened.upper >= double.enclosure().upper).all()
    assert float(allowed.max()) < problem.rounding


def test_a_large_domain_of_one_feature_does_not_make_rounding_too_small_for_others():
    x = torch.tensor([[1e6 + 1.0, 0.0]])
    single = L2Ball(1.3, (-2e6, 1e6 + 0.02)).at(x)
    double = single.to(torch.float64)
    widened = single.enclosure().map(Tensor.double).widen(single.rounding().double())
    assert (widened.lower <= double.enclosure().lower).all()
    assert (widened.upper >= double.enclosure().upper).all()


def test_rounding_covers_sums_over_a_ball_much_larger_than_the_domain(generator):
    x = torch.full((1, 2000), 1000.0)
    single = L2Ball(45000.0, (0, 1)).at(x)
    nu = torch.randn(1, 50, 2000, generator=generator).abs()
    found, real = single.extremes(nu, VIEW), single.to(torch.float64).extremes(nu.double(), VIEW)
    sums = 2032 * torch.finfo(torch.float32).eps * single.enclosure().magnitude
    allowed = (nu.double() * (sums + single.rounding()).double()).sum(-1)
    assert (found[0] <= real[0] + allowed).all()
    assert (found[1] >= real[1] - allowed).all()
    assert single.rounding().max() > 0.1


def test_tiny_rows_are_rounded_up():
    region = L2Ball(1.0).at(torch.zeros(1, 100))
    lower, upper = region.extremes(torch.full((1, 1, 100), 1e-30), VIEW)
    assert float(lower) <= -1e-29
    assert 1e-29 <= float(upper) <= 1e-12


def test_conversion_keeps_the_radius_as_given():
    x = torch.zeros(1, 2)
    double = LinfBall(0.1).at(x).to(torch.float64)
    assert double.enclosure().upper[0, 0].item() == 0.1
    assert double.enclosure().upper[0, 0].item() != LinfBall(0.1).at(x).enclosure().upper[0, 0].item()
    assert double.to(torch.float64) is double


def test_scalar_samples():
    region = L2Ball(torch.tensor([0.1, 0.2]), (0, 1)).at(torch.tensor([0.5, 0.05], dtype=torch.float64))
    lower, upper = region.extremes(torch.ones(1, 1, dtype=torch.float64), VIEW)
    torch.testing.assert_close(lower, torch.tensor([[0.4], [0.0]], dtype=torch.float64))
    torch.testing.assert_close(upper, torch.tensor([[0.6], [0.25]], dtype=torch.float64), rtol=0, atol=1e-7)
    assert region.contains(region.project(torch.tensor([3.0, -1.0], dtype=torch.float64))).all()
