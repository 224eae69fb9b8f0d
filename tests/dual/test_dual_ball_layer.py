"""What a ball is worth to rows: compared with samples, with a published closed form and with brute force."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from support.effort import effort
from torch import Tensor

from autodual.dual import Ball, BallLayer, FamilyLayer, Rows, find_rule
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.interval import Interval
from autodual.ir import Environment, Op, ops

ENVIRONMENT = Environment({}.__getitem__, torch.float64, torch.device("cpu"))
OPS: dict[str, Op] = {"relu": ops.Relu(), "tanh": ops.Tanh(), "sigmoid": ops.Sigmoid()}


def _layer(op: Op, box: Interval, ball: Ball, choice: Tensor | None = None, slack: float = 0.0) -> BallLayer:
    rule = find_rule(op)
    assert isinstance(rule, RelaxationRule)
    lines = rule.layer(op, [box], ENVIRONMENT, "adaptive")
    if choice is not None:
        lines = FamilyLayer(rule.family(op, [box], ENVIRONMENT), choice)
    found = rule.in_ball(op, [box], ENVIRONMENT, lines, [ball], slack)
    assert isinstance(found, BallLayer)
    return found


def _problem(seed: int, units: int) -> tuple[Interval, Ball, Rows]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64)

    centre, low, high = normal(2, units), normal(2, units).abs(), normal(2, units).abs()
    radius = torch.rand(2, generator=generator, dtype=torch.float64) * math.sqrt(units)
    return Interval(centre - low, centre + high), Ball(centre, radius), Rows(normal(2, 5, units), (units,))


def _points(box: Interval, ball: Ball, count: int, seed: int) -> Tensor:
    """Points `[P, N, U]` of box and ball, many of them on the sphere."""
    generator = torch.Generator().manual_seed(seed)
    away = torch.randn(count, *ball.centre.shape, generator=generator, dtype=torch.float64)
    length = ball.radius.unsqueeze(1) * torch.rand(count, 1, 1, generator=generator, dtype=torch.float64).sqrt()
    points = ball.centre + away / away.norm(dim=2, keepdim=True) * length
    return points.maximum(box.lower).minimum(box.upper)


@pytest.mark.parametrize("searched", [False, True])
@pytest.mark.parametrize("kind", OPS)
@effort(30)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 6, 30]))
def test_no_point_of_box_and_ball_lies_below(kind: str, searched: bool, seed: int, units: int) -> None:
    box, ball, rows = _problem(seed, units)
    torch.manual_seed(seed)
    choice = torch.rand(2, 5, units, dtype=torch.float64) if searched else None
    layer = _layer(OPS[kind], box, ball, choice)
    (pulled,), gain = layer.pull(rows), layer.gain(rows)
    assert gain is not None
    points = _points(box, ball, 200, seed)
    values = OPS[kind].forward([points.flatten(0, 1)], ENVIRONMENT).reshape(points.shape)
    above = torch.einsum("nku,pnu->pnk", rows.values, values) - torch.einsum("nku,pnu->pnk", pulled.values, points)
    assert bool((above >= gain - 1e-11).all())
    plain = layer.lines.gain(rows)
    assert plain is not None and bool((gain >= plain - 1e-12).all())


def _dual_value(nu: numpy.ndarray, g: numpy.ndarray, box: Interval, ball: Ball, multiplier: float) -> float:
    """The bound for one multiplier by its definition, minimised over a fine grid of each unit, for a ReLU."""
    total = -multiplier * float(ball.radius) ** 2 / 2
    for unit in range(len(nu)):
        low, high, middle = (float(part[0, unit]) for part in (box.lower, box.upper, ball.centre))
        v = numpy.linspace(low, high, 4001)
        terms = nu[unit] * numpy.maximum(v, 0) - g[unit] * v + multiplier / 2 * (v - middle) ** 2
        total += float(terms.min())
    return total


def _negated(value: Callable[[float], float], logarithm: float) -> float:
    return -value(math.exp(logarithm))


@pytest.mark.parametrize("seed", range(4))
def test_multipliers_are_nearly_the_best(seed: int) -> None:
    """The definition, maximised over the multiplier by a method of its own."""
    box, ball, rows = _problem(seed, 8)
    box, ball = Interval(box.lower[:1], box.upper[:1]), Ball(ball.centre[:1], ball.radius[:1])
    rows = Rows(rows.values[:1], rows.shape)
    layer = _layer(OPS["relu"], box, ball)
    pulled, gain = layer.pull(rows)[0].values[0], layer.gain(rows)
    assert gain is not None
    for place in range(5):
        value = partial(_dual_value, rows.values[0, place].numpy(), pulled[place].numpy(), box, ball)
        best = minimize_scalar(partial(_negated, value), bounds=(-8, 5), method="bounded")
        reachable = max(-best.fun, value(0.0))
        size = float((rows.values[0, place].abs() * box.radius[0]).sum())
        assert float(gain[0, place]) >= reachable - 5e-3 * size


@effort(30)
@given(st.integers(0, 10**6))
def test_without_a_box_it_is_the_published_form(seed: int) -> None:
    """-λ/2 (ρ² - |c|²) - |φ|²/2λ with φ = min(ν - g - λc, g + λc, 0) of SDP-CROWN, at the multiplier that was found."""
    _, ball, rows = _problem(seed, 6)
    wide = torch.full_like(ball.centre, 50.0)
    layer = _layer(OPS["relu"], Interval(-wide, wide), ball)
    (pulled, found) = layer._solved(rows)
    scale = found.multiplier.unsqueeze(2)
    centre, nu, g = ball.centre.unsqueeze(1), rows.values, pulled.values
    phi = (nu - g - scale * centre).minimum(g + scale * centre).clamp(max=0)
    outside = ball.radius.square()[:, None] - centre.square().sum(2)
    expected = -found.multiplier / 2 * outside - phi.square().sum(2) / (2 * found.multiplier)
    used = found.multiplier > 1e-3
    torch.testing.assert_close(found.gain[used], expected[used], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", OPS)
def test_gradients_by_rows_and_choices(kind: str, seed: int) -> None:
    """Adjoint values against automatic differentiation of pull and gain."""
    box, ball, rows = _problem(seed, 7)
    torch.manual_seed(seed)
    choice = torch.rand(2, 5, 7, dtype=torch.float64)
    point = torch.randn(2, 5, 7, dtype=torch.float64)
    nu, t = rows.values.clone().requires_grad_(), choice.clone().requires_grad_()
    layer, moving = _layer(OPS[kind], box, ball, t), Rows(nu, rows.shape)
    total = layer.gain(moving).sum() + (layer.pull(moving)[0].values * point).sum()
    by_rows, by_choice = torch.autograd.grad(total, (nu, t))
    fresh = _layer(OPS[kind], box, ball, choice)
    torch.testing.assert_close(fresh.along(rows, [point]), by_rows, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(fresh.by_choice(rows, [point]), by_choice, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("radius", [0.0, math.inf, math.nan])
def test_radii_that_say_nothing_or_all(radius: float) -> None:
    box, ball, rows = _problem(0, 4)
    layer = _layer(OPS["relu"], box, Ball(ball.centre, torch.full((2,), radius, dtype=torch.float64)))
    gain, plain = layer.gain(rows), layer.lines.gain(rows)
    assert gain is not None and plain is not None
    if radius == 0:  # the operand is the centre
        exact = (rows.values * ball.centre.relu().unsqueeze(1)).sum(2)
        exact = exact - (layer.pull(rows)[0].values * ball.centre.unsqueeze(1)).sum(2)
        torch.testing.assert_close(gain, exact)
    else:
        torch.testing.assert_close(gain, plain)


@effort(20)
@given(st.integers(0, 10**6))
def test_float32_keeps_what_it_is_charged_for(seed: int) -> None:
    """A gain with its slack, minus the layer's own rounding error, holds for the float64 problem."""
    box, ball, rows = _problem(seed, 30)
    down = lambda tensor: tensor.float()  # noqa: E731
    small = Interval(down(box.lower), down(box.upper))
    environment = Environment({}.__getitem__, torch.float32, torch.device("cpu"))
    rule = find_rule(OPS["relu"])
    assert isinstance(rule, RelaxationRule)
    gamma = 2.0 * (30 + 34) * torch.finfo(torch.float32).eps / 2
    lines = rule.layer(OPS["relu"], [small], environment, "adaptive")
    layer = rule.in_ball(OPS["relu"], [small], environment, lines, [Ball(down(ball.centre), ball.radius)], gamma)
    narrow = Rows(down(rows.values), rows.shape)
    pulled, gain = layer.pull(narrow)[0].values.double(), layer.gain(narrow)
    assert gain is not None
    owed = (narrow.values.abs() * gamma * layer.magnitude([small.magnitude]).unsqueeze(1)).sum(2)
    points = _points(
        Interval(small.lower.double(), small.upper.double()), Ball(down(ball.centre).double(), ball.radius), 200, seed
    )
    above = torch.einsum("nku,pnu->pnk", narrow.values.double(), points.relu())
    above = above - torch.einsum("nku,pnu->pnk", pulled, points)
    assert bool((above >= (gain - owed).double()).all())
