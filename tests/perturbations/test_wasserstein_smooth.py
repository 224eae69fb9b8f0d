"""The smooth bound over Wasserstein balls: above linear programs, near them, and Sinkhorn's dual value."""

from __future__ import annotations

import math

import pytest
import torch
from support.transport_programs import Plans
from torch import Tensor

import autodual
from autodual.perturbations import WholeView
from autodual.perturbations.wasserstein.surrogate_region import SurrogateRegion


def _region(x: Tensor, budget: Tensor, window: int, sharpness: float) -> SurrogateRegion:
    source = autodual.WassersteinBall(0.0, window, sharpness=sharpness)
    return SurrogateRegion(source, x, budget, sharpness, 0)


def _smooth(row: Tensor, x: Tensor, budget: Tensor, window: int, sharpness: float) -> Tensor:
    region = _region(x[None], budget[None], window, sharpness)
    return region.extremes(row[None, None], WholeView())[1][0, 0]


def _case(seed: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    row, x, kept = (torch.rand(shape, generator=generator, dtype=torch.float64) for _ in range(3))
    return 4 * row - 2, x * (kept > 0.3)


@pytest.mark.parametrize("eps", [0.0, 0.05, 0.4, 3.0])
@pytest.mark.parametrize(("shape", "window"), [((1, 5, 4), 3), ((2, 4, 3), 5), ((1, 2, 6), 7), ((1, 1, 1), 5)])
def test_the_smooth_bound_lies_above_the_linear_program_by_at_most_the_logarithm_of_the_targets(
    shape: tuple[int, ...], window: int, eps: float
) -> None:
    row, x = _case(window, shape)
    greatest = Plans.over(shape, window).greatest(row.numpy(), x.numpy(), float(eps * x.sum()))
    for sharpness in (0.5, 30.0, 1e5):
        gap = float(_smooth(row, x, eps * x.sum(), window, sharpness)) - greatest
        assert -1e-9 <= gap <= 2 * math.log(window) / sharpness * float(x.sum()) + 1e-9


def test_a_sharper_bound_is_nearer() -> None:
    row, x = _case(0, (1, 6, 6))
    found = [float(_smooth(row, x, 0.1 * x.sum(), 5, sharpness)) for sharpness in (1.0, 3.0, 10.0, 100.0, 1000.0)]
    assert found == sorted(found, reverse=True)


def test_float32_takes_any_sharpness() -> None:
    row, x = _case(1, (1, 7, 7))
    for sharpness in (1e-3, 1.0, 3e3, 1e8):
        exact, rounded = (
            float(_smooth(row.to(dtype), x.to(dtype), 0.1 * x.sum().to(dtype), 5, sharpness))
            for dtype in (torch.float64, torch.float32)
        )
        assert math.isclose(exact, rounded, rel_tol=1e-5)


def test_large_rows_and_a_large_sharpness_do_not_overflow_together() -> None:
    row, x = torch.full((1, 1, 1), -2e29), torch.full((1, 1, 1), 64.0)
    assert float(_smooth(row, x, x.sum(), 5, 1e8)) == pytest.approx(-2e29 * 64, rel=1e-6)


def test_black_images_have_no_mass_to_move() -> None:
    row, x = _case(2, (1, 4, 4))
    black = torch.zeros_like(x).requires_grad_()
    value = _smooth(row, black, black.sum(), 5, 10.0)
    value.backward()
    assert value == 0
    assert black.grad is not None
    assert black.grad.isfinite().all()


def test_nan_comes_out() -> None:
    row, x = _case(3, (1, 4, 4))
    row[0, 1, 2] = torch.nan
    assert _smooth(row, x, 0.1 * x.sum(), 5, 10.0).isnan()


def test_derivatives_are_those_of_the_minimum() -> None:
    row, x = _case(4, (2, 3, 4))
    eps = torch.tensor(0.2, dtype=torch.float64)
    values = [value.requires_grad_() for value in (row, x, eps)]
    assert torch.autograd.gradcheck(lambda row, x, eps: _smooth(row, x, eps * x.sum(), 5, 8.0), values)


def test_rows_and_samples_broadcast() -> None:
    row, x = _case(5, (3, 1, 4, 4))
    other, _ = _case(6, (1, 2, 1, 4, 4))
    rows, budget = row.unsqueeze(1) + other, 0.1 * x.flatten(1).sum(1)
    region = _region(x, budget, 3, 10.0)
    together, shared = (region.extremes(some, WholeView())[1] for some in (rows, rows[:1]))
    assert together.shape == shared.shape == (3, 2)
    torch.testing.assert_close(together[2, 1], _smooth(rows[2, 1], x[2], budget[2], 3, 10.0), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(shared[2, 1], _smooth(rows[0, 1], x[2], budget[2], 3, 10.0), rtol=1e-9, atol=1e-9)


def test_the_printed_iteration_ends_at_the_least_smooth_bound() -> None:
    """The thesis' (5.24) to (5.27), with y for -y: its dual variables α for the rows of the plan, ψ for the budget."""
    sharpness, shape, window = 3.0, (1, 3, 4), 3
    row, x = _case(7, shape)
    x = (x + 0.1) / (x + 0.1).sum()  # of mass 1
    plans, budget = Plans.over(shape, window), 0.15
    source, target = torch.from_numpy(plans.source), torch.from_numpy(plans.target)
    cost, gain, mass = torch.from_numpy(plans.price), sharpness * row.flatten(), x.flatten()
    price = torch.tensor(1.0, dtype=torch.float64)
    for _ in range(1000):
        weights = torch.zeros_like(mass).index_add(0, source, (gain[target] - price * cost - 1).exp())
        alpha = mass.log() - weights.log()
        plan = (alpha[source] + gain[target] - price * cost - 1).exp()
        slope, curvature = (plan * cost).sum() - budget, (plan * cost**2).sum()
        price = (price + slope / curvature).clamp(min=0)
    plan = (alpha[source] + gain[target] - price * cost - 1).exp()
    dual = -price * budget + (alpha * mass).sum() - plan.sum()
    entropy = -(mass * mass.log()).sum()
    least = _smooth(row, x, torch.tensor(budget, dtype=torch.float64), window, sharpness)
    torch.testing.assert_close((-dual - entropy) / sharpness, least, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(plan.sum(), mass.sum())  # only then is the iteration's plan one of x's mass
    assert (plan * row.flatten()[target]).sum() < least  # which is why the plan's value proves nothing
