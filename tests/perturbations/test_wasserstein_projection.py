"""Projections onto Wasserstein balls and membership in them, against linear programs over transport plans."""

from __future__ import annotations

import builtins
import math

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.perturbations import WassersteinBall
from autodual.perturbations.wasserstein.entropic_projection import entropic_projection
from autodual.perturbations.wasserstein.exact_projection import exact_projection
from autodual.perturbations.wasserstein.moves import Moves
from autodual.perturbations.wasserstein.transport_plan import arrivals, plan_cost, repaired
from autodual.testing import check_perturbation_set
from tests.support.nearest_members import nearest_member
from tests.support.transport_programs import Plans

SHAPES = ((1, 3, 4), (2, 3, 3), (1, 5, 2))


def case(seed: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Three images, of which one has black pixels and one is black, and what is projected."""
    generator = torch.Generator().manual_seed(seed)
    x, w = torch.rand(2, 3, *shape, dtype=torch.float64, generator=generator)
    x[1] *= torch.rand(shape, generator=generator) < 0.5
    x[2] = 0
    return x.to(dtype), (1.5 * w - 0.25).to(dtype)


@given(
    st.integers(0, 1000),
    st.sampled_from(SHAPES),
    st.sampled_from([3, 5, 7]),
    st.sampled_from([0.0, 1e-6, 0.02, 0.2, 3.0, 30.0]),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.sampled_from([1.0, 10.0]),
)
@settings(max_examples=15)
def test_the_exact_projection_is_the_nearest_point_to_nine_digits(seed, shape, window, eps, power, spread):
    """Of images with black pixels, and of black ones, from no budget to more than all mass can use."""
    (x, w), plans = case(seed, shape), Plans.over(shape, window, power)
    w, budget = spread * w, eps * x.flatten(1).sum(1)
    found = exact_projection(w, x, budget, Moves(window, power))
    assert torch.equal(found[2], x[2])
    for sample in range(2):
        nearest = nearest_member(w[sample], x[sample], float(budget[sample]), plans)
        unit = max(1.0, float(w[sample].abs().max()))
        assert found[sample].flatten().tolist() == pytest.approx(nearest, rel=0, abs=1e-9 * unit)
        assert plans.cost(x[sample].numpy(), found[sample].numpy(), 1e-9) <= float(budget[sample]) + 1e-9


def test_exact_projections_are_points_of_the_ball_in_every_dtype():
    for dtype in (torch.float64, torch.float32):
        x, w = case(5, (2, 4, 4), dtype)
        region = WassersteinBall(0.2, 5).at(x)
        found = exact_projection(4 * w, x, region.budget, Moves(5))
        assert region.contains(found).all()


def dual_point(w: numpy.ndarray, x: numpy.ndarray, budget: float, plans: Plans, strength: float) -> numpy.ndarray:
    """w − b / λ at the maximum of the thesis' dual (5.6), by L-BFGS, with an a_i for each pixel of mass alone."""
    held = x > 0
    keep = held[plans.source]
    source, target, price = (numpy.cumsum(held) - 1)[plans.source[keep]], plans.target[keep], plans.price[keep]
    mass, count = x[held], held.sum()

    def loss(values: numpy.ndarray) -> tuple[float, numpy.ndarray]:
        a, b, psi = values[:count], values[count:-1], values[-1]
        plan = numpy.exp(a[source] + b[target] - psi * price - 1)
        value = -(b**2).sum() / (2 * strength) - psi * budget + (a * mass).sum() + (b * w).sum() - plan.sum()
        slope_a = mass - numpy.bincount(source, plan, count)
        slope_b = w - b / strength - numpy.bincount(target, plan, len(w))
        return -value, -numpy.concatenate([slope_a, slope_b, [(plan * price).sum() - budget]])

    start = numpy.concatenate([numpy.log(mass), numpy.zeros(len(w)), [1.0]])
    bounds = [(None, None)] * (len(start) - 1) + [(0, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 5000, "ftol": 1e-15})
    return w - found.x[count:-1] / strength


@pytest.mark.parametrize(("strength", "eps"), [(5.0, 0.05), (50.0, 0.4), (50.0, 5.0)])
def test_the_entropic_projection_maximises_the_dual(strength, eps):
    (x, w), plans = case(3, (1, 2, 3)), Plans.over((1, 2, 3), 3)
    mass = x.flatten(1).sum(1)
    found = entropic_projection(w, x, eps * mass, Moves(3), strength, tolerance=1e-11, iterations=20000)
    for sample in mass.nonzero().flatten().tolist():
        image, aim, point = ((part[sample] / mass[sample]).flatten().numpy() for part in (x, w, found))
        best = dual_point(aim, image, eps, plans, strength)
        numpy.testing.assert_allclose(point, best, atol=1e-5)


def test_the_entropic_projection_tends_to_the_exact_one():
    x, w = case(2, (1, 3, 3))
    budget = 0.1 * x.flatten(1).sum(1)
    exact = exact_projection(w, x, budget, Moves(3))
    found = [entropic_projection(w, x, budget, Moves(3), strength, 1e-7, 2000) for strength in (10.0, 100.0, 1000.0)]
    misses = [float((one - exact).abs().max()) for one in found]
    assert misses[0] > 4 * misses[1] > 16 * misses[2] and misses[2] < 2e-2


@given(st.integers(0, 1000), st.sampled_from(SHAPES), st.sampled_from([1000.0, 3000.0]), st.sampled_from([1, 7, 100]))
@settings(max_examples=8)
def test_iterates_of_any_age_are_points_of_the_ball(seed, shape, strength, iterations):
    (x, w), plans = case(seed, shape, torch.float32), Plans.over(shape, 5)
    budget = 0.1 * x.flatten(1).sum(1)
    found = entropic_projection(3 * w, x, budget, Moves(5), strength, iterations=iterations)
    assert torch.equal(found[2], x[2])
    for sample in range(2):
        assert plans.cost(x[sample].double().numpy(), found[sample].double().numpy(), 1e-6) <= float(budget[sample])


def test_repaired_plans_have_the_mass_of_the_image_and_keep_to_the_budget():
    x, _ = case(3, (2, 3, 3))
    plan = torch.rand(9, 3, 2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plan[1:] *= 0.1
    for budget in (torch.zeros(3).double(), 0.01 * x.flatten(1).sum(1), 9 * x.flatten(1).sum(1)):
        found = repaired(plan, x, budget, Moves(3))
        torch.testing.assert_close(found.sum(0), x)
        assert (plan_cost(found, Moves(3)) <= budget + 1e-12).all() and (found >= 0).all()
    assert torch.equal(arrivals(repaired(plan, x, 0 * budget, Moves(3)), Moves(3)), x)


@given(st.integers(0, 1000), st.sampled_from(SHAPES), st.sampled_from([3, 5]), st.sampled_from(["float32", "float64"]))
@settings(max_examples=8)
def test_membership_is_that_of_the_linear_program(seed, shape, window, dtype):
    (x, w), plans = case(seed, shape, getattr(torch, dtype)), Plans.over(shape, window)
    region = WassersteinBall(0.1, window).at(x)
    edge = region.project(w)
    for share in (0.5, 1.0, 1.001, 1.5, 3.0):
        points = x + share * (edge - x)
        inside = region.contains(points)
        assert (~inside | region.plausible(points)).all()
        for sample in range(2):
            cost = plans.cost(x[sample].double().numpy(), points[sample].double().numpy().clip(0), 1e-6)
            assert bool(inside[sample]) == (cost <= float(region.budget[sample]))
    assert torch.equal(region.project(edge), edge)
    assert not region.contains(torch.full_like(x, math.nan)).any() and not region.contains(x + 0.01).any()


def test_membership_has_the_tolerance_of_the_radius():
    x = torch.tensor([[[1.0, 0.0]]])
    region, point = WassersteinBall(0.25).at(x), torch.tensor([[[0.6, 0.4]]])
    assert not region.contains(point, 0.14).any() and region.contains(point, 0.16).all()


def test_the_set_keeps_its_contract(generator):
    x = torch.rand(2, 1, 2, 3, dtype=torch.float64, generator=generator)
    check_perturbation_set(WassersteinBall(0.2, 3), x, points=8)


def test_without_highs_one_sentence_says_what_to_install(monkeypatch):
    known = builtins.__import__

    def without(name, *rest, **options):
        if name == "highspy":
            raise ImportError(name)
        return known(name, *rest, **options)

    x = torch.tensor([[[1.0, 0.0]]])
    region = WassersteinBall(0.25).at(x)
    monkeypatch.setattr(builtins, "__import__", without)
    assert region.contains(x).all() and not region.contains(x + 1).any()
    with pytest.raises(InvalidInputError, match="pip install 'autodual\\[exact\\]'"):
        region.contains(torch.tensor([[[0.9, 0.1]]]))
