"""Support functions, compared with sampling, linear programs, closed forms, windows and finite differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy
import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor
from torch.nn import functional

from autodual.perturbations import Box, L1Ball, L2Ball, LinfBall, LpBall, PerturbationSet, WholeView
from autodual.perturbations.regions.row_norms import norm

VIEW = WholeView()


def rows_for(x: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return torch.randn(x.shape[0], count, *x.shape[1:], dtype=x.dtype, generator=generator)


def values_at(points: Tensor, nu: Tensor) -> Tensor:
    """<nu, point> `[points, N, K]`."""
    return torch.einsum("pnf,nkf->pnk", points.flatten(2), nu.flatten(2))


def test_extremes_bound_every_sampled_point(problem, generator):
    region = problem.set.at(problem.x)
    nu = rows_for(problem.x, 4, generator)
    lower, upper = region.extremes(nu, VIEW)
    values = values_at(torch.cat([region.sample(1000, generator), region.corners(1000, generator)]), nu)
    assert (values >= lower - 1e-12).all()
    assert (values <= upper + 1e-12).all()


def test_extremes_are_attained_where_exact(problem, generator):
    region = problem.set.at(problem.x)
    nu = rows_for(problem.x, 1, generator)
    lower, upper = region.extremes(nu, VIEW)
    highest = values_at(region.steepest(nu[:, 0]).unsqueeze(0), nu)[0]
    lowest = values_at(region.steepest(-nu[:, 0]).unsqueeze(0), nu)[0]
    if problem.exact:
        torch.testing.assert_close(highest, upper)
        torch.testing.assert_close(lowest, lower)
    else:
        assert (highest <= upper + 1e-12).all()
        assert (lowest >= lower - 1e-12).all()


def test_unit_rows_give_the_enclosure(problem):
    region = problem.set.at(problem.x)
    size = problem.x[0].numel()
    units = torch.eye(size, dtype=torch.float64).reshape(1, size, *problem.x.shape[1:])
    lower, upper = region.extremes(units, VIEW)
    torch.testing.assert_close(lower, region.enclosure().lower.flatten(1))
    torch.testing.assert_close(upper, region.enclosure().upper.flatten(1))


def test_shared_rows_equal_repeated_rows(problem, generator):
    region = problem.set.at(problem.x)
    nu = rows_for(problem.x[:1], 5, generator)
    shared = region.extremes(nu, VIEW)
    repeated = region.extremes(nu.expand(region.count, -1, -1, -1, -1).contiguous(), VIEW)
    torch.testing.assert_close(shared, repeated)


def test_nan_rows_give_nan(problem):
    region = problem.set.at(problem.x)
    nu = torch.zeros_like(problem.x).unsqueeze(1)
    nu[:, :, 0, 0, 0] = torch.nan
    lower, upper = region.extremes(nu, VIEW)
    assert lower.isnan().all()
    assert upper.isnan().all()


@pytest.mark.parametrize("order", [1, numpy.inf])
@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_clipped_sets_against_a_linear_program(order, shift, generator):
    x = torch.rand(6, 4, dtype=torch.float64, generator=generator)
    x[:, 0] -= shift + x[:, 0] * (shift > 0)
    region = LpBall(order, 0.5, (0, 1)).at(x)
    nu = rows_for(x, 1, generator)
    lower, upper = region.extremes(nu, VIEW)
    for sample in range(len(x)):
        best = [_program(sign * nu[sample, 0], x[sample], 0.5, order) for sign in (1, -1)]
        assert lower[sample] <= best[0] + 1e-9
        assert upper[sample] >= -best[1] - 1e-9
        if order == numpy.inf:
            assert float(lower[sample]) == pytest.approx(best[0])
            assert float(upper[sample]) == pytest.approx(-best[1])
        ends = [_program(unit, x[sample], 0.5, order) for unit in torch.eye(4, dtype=torch.float64)]
        torch.testing.assert_close(region.enclosure().lower[sample], torch.tensor(ends, dtype=torch.float64))


def _program(cost: Tensor, x: Tensor, radius: float, order: float) -> float:
    """min cost·z over ‖z − x‖ ≤ radius and 0 ≤ z ≤ 1, with variables z and t ≥ |z − x|."""
    size = len(x)
    unit, zero = numpy.eye(size), numpy.zeros((size, size))
    total = numpy.hstack([numpy.zeros((1, size)), numpy.ones((1, size))])
    distances = total if order == 1 else numpy.hstack([zero, unit])
    matrix = numpy.vstack([numpy.hstack([unit, -unit]), numpy.hstack([-unit, -unit]), distances])
    bound = numpy.concatenate([x.numpy(), -x.numpy(), numpy.full(len(distances), radius)])
    limits = [(0, 1)] * size + [(0, None)] * size
    return linprog(numpy.concatenate([cost.numpy(), numpy.zeros(size)]), matrix, bound, bounds=limits).fun


@pytest.mark.parametrize(("make", "order"), [(LinfBall, torch.inf), (L2Ball, 2), (L1Ball, 1)])
def test_named_balls_are_the_general_ball(make, order, generator):
    x = torch.rand(3, 5, dtype=torch.float64, generator=generator)
    nu = rows_for(x, 4, generator)
    for domain in (None, (0, 1)):
        named, general = make(0.3, domain).at(x), LpBall(order, 0.3, domain).at(x)
        torch.testing.assert_close(named.extremes(nu, VIEW), general.extremes(nu, VIEW), rtol=0, atol=0)


def test_closed_forms():
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    nu = torch.tensor([[[3.0, -4.0]]], dtype=torch.float64)
    for ball, spread in ((LinfBall(0.1), 0.7), (L2Ball(0.1), 0.5), (L1Ball(0.1), 0.4), (LpBall(4, 0.1), 0.1 * 5.906)):
        lower, upper = ball.at(x).extremes(nu, VIEW)
        assert float(lower) == pytest.approx(-5 - spread, abs=1e-3)
        assert float(upper) == pytest.approx(-5 + spread, abs=1e-3)


def test_clipping_takes_the_better_of_ball_and_box():
    x = torch.tensor([[0.0, 0.5]], dtype=torch.float64)
    nu = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]], dtype=torch.float64)
    lower, _ = L2Ball(0.3, (0, 1)).at(x).extremes(nu, VIEW)
    torch.testing.assert_close(lower, torch.tensor([[0.0, 0.2, 0.2]], dtype=torch.float64))


def test_high_orders_do_not_underflow():
    nu = torch.full((1, 1, 3), 1e-3)
    assert float(norm(nu, 40.0)) == pytest.approx(1e-3 * 3 ** (1 / 40), rel=1e-5)
    assert float(norm(nu * 1e6, 40.0)) == pytest.approx(1e3 * 3 ** (1 / 40), rel=1e-5)


@pytest.mark.parametrize("domain", [None, (0.0, 0.9)])
@pytest.mark.parametrize("make", [LinfBall, L2Ball, L1Ball, lambda *rest: LpBall(3, *rest)])
def test_gradients_with_respect_to_rows_and_radius(make, domain, generator):
    x = torch.rand(2, 3, dtype=torch.float64, generator=generator)
    nu = rows_for(x, 2, generator).requires_grad_()
    radius = torch.tensor([0.3, 0.5], dtype=torch.float64, requires_grad=True)

    def extremes(nu: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
        return make(radius, domain).at(x).extremes(nu, VIEW)

    assert torch.autograd.gradcheck(extremes, (nu, radius))
    assert torch.autograd.gradgradcheck(extremes, (nu, radius))


def test_gradients_with_respect_to_a_box(generator):
    x = torch.rand(2, 3, dtype=torch.float64, generator=generator)
    nu = rows_for(x, 2, generator).requires_grad_()
    ends = [(x - 0.5).requires_grad_(), (x + 0.5).requires_grad_()]
    assert torch.autograd.gradcheck(lambda nu, *ends: Box(*ends).at(x).extremes(nu, VIEW), (nu, *ends))


@pytest.mark.parametrize("order", [1, 1.5, 2, 3, torch.inf])
def test_derivatives_are_finite_at_zero_rows(order):
    x = torch.zeros(2, 3, dtype=torch.float64)
    nu = torch.zeros(2, 2, 3, dtype=torch.float64, requires_grad=True)
    radius = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    lower, _ = LpBall(order, radius).at(x).extremes(nu, VIEW)
    first = torch.autograd.grad(lower.sum(), (nu, radius), create_graph=True)
    assert all(gradient.isfinite().all() for gradient in first)
    second = torch.autograd.grad(first[0].sum() + first[1], nu)[0]
    assert second.isfinite().all()


@dataclass(frozen=True, eq=False)
class WindowView:
    """3×3 windows of a padded input: group g is the window of sample owner[g] at origin[g]."""

    owner: list[int]
    origin: list[tuple[int, int]]
    whole: ClassVar[bool] = False

    def features(self, values: Tensor) -> Tensor:
        padded = functional.pad(values, (1, 1, 1, 1))
        windows = [padded[n, :, i : i + 3, j : j + 3] for n, (i, j) in zip(self.owner, self.origin, strict=True)]
        return torch.stack(windows).unsqueeze(1)

    def samples(self, values: Tensor) -> Tensor:
        return values[self.owner].unsqueeze(1)


@pytest.mark.parametrize(
    "perturbation",
    [
        LinfBall(torch.tensor([0.1, 0.3])),
        LinfBall(0.2, (0, 1)),
        L2Ball(torch.tensor([0.1, 0.3])),
        L1Ball(0.5, (0, 1)),
        LpBall(3, 0.5),
        Box(torch.zeros(1, 4, 4), 2.0),
    ],
    ids=lambda perturbation: perturbation.describe(),
)
def test_windows_equal_whole_rows(perturbation: PerturbationSet, generator):
    x = torch.rand(2, 1, 4, 4, dtype=torch.float64, generator=generator)
    view = WindowView([0, 0, 1, 1], [(0, 0), (1, 2), (3, 3), (2, 0)])
    inside = view.features(torch.ones_like(x))
    nu = torch.randn(4, 2, 1, 3, 3, dtype=torch.float64, generator=generator) * inside
    region = perturbation.at(x)
    windows = region.extremes(nu, view)
    for group, (owner, (i, j)) in enumerate(zip(view.owner, view.origin, strict=True)):
        whole = torch.zeros(2, 1, 6, 6, dtype=torch.float64)
        whole[:, :, i : i + 3, j : j + 3] = nu[group]
        lower, upper = region.select(slice(owner, owner + 1)).extremes(whole[None, :, :, 1:5, 1:5], VIEW)
        torch.testing.assert_close(windows[0][group], lower[0])
        torch.testing.assert_close(windows[1][group], upper[0])
