"""Projections onto sets and maximisers of linear functions over them, with and without a domain, against a solver."""

from __future__ import annotations

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize
from torch import Tensor

from autodual.perturbations import Box, L1Ball, L2Ball, LinfBall, LpBall, PerturbationSet, ProductSet
from autodual.perturbations.balls.clamped_offset import lowered_offset, scaled_offset
from autodual.perturbations.balls.clamped_sum import crossing
from autodual.perturbations.balls.room import Room

SIZE, CASES, RADIUS = 5, 6, 0.6
DOMAIN = (0.0, 1.0)
BALLS = {
    "l1": (1.0, lambda domain: L1Ball(RADIUS, domain)),
    "l1.3": (1.3, lambda domain: LpBall(1.3, RADIUS, domain)),
    "l1.5": (1.5, lambda domain: LpBall(1.5, RADIUS, domain)),
    "l2": (2.0, lambda domain: L2Ball(RADIUS, domain)),
    "l3": (3.0, lambda domain: LpBall(3, RADIUS, domain)),
    "l8": (8.0, lambda domain: LpBall(8, RADIUS, domain)),
    "linf": (numpy.inf, lambda domain: LinfBall(RADIUS, domain)),
    "box": (None, lambda domain: Box(-0.1, 0.7, domain)),
}


class Solver:
    """min f(z) over a ball or box clipped to the domain, by sequential quadratic programming in two parts of z − x."""

    def __init__(self, order: float | None, x: numpy.ndarray, domain: tuple[float, float] | None):
        self.order, self.x = order, x
        lower, upper = (x - RADIUS, x + RADIUS) if order is not None else (x * 0 - 0.1, x * 0 + 0.7)
        if domain is not None:
            lower, upper = numpy.maximum(lower, domain[0]), numpy.minimum(upper, domain[1])
        # z = x + up − down, where each has its own bounds and one of the two is at its lower bound.
        below, above = lower - x, upper - x
        self.bounds = [*zip(below.clip(0), above.clip(0))]
        self.bounds += [*zip((-above).clip(0), (-below).clip(0))]

    def point(self, parts: numpy.ndarray) -> numpy.ndarray:
        return self.x + parts[:SIZE] - parts[SIZE:]

    def minimum(self, value, slope) -> float:
        order, constraints = self.order, []
        if order is not None and order < numpy.inf:
            constraints = [{
                "type": "ineq",
                "fun": lambda parts: 1 - ((parts / RADIUS) ** order).sum(),
                "jac": lambda parts: -order * (parts / RADIUS) ** (order - 1) / RADIUS,
            }]  # fmt: skip
        best = numpy.inf
        for share in (0.0, 0.03, 0.1, 0.3, 0.5):
            start = numpy.array([low + share * (high - low) for low, high in self.bounds])
            found = minimize(
                lambda parts: value(self.point(parts)),
                start,
                jac=lambda parts: numpy.concatenate([slope(self.point(parts)), -slope(self.point(parts))]),
                bounds=self.bounds,
                constraints=constraints,
                options={"maxiter": 500, "ftol": 1e-15},
            )
            feasible = all(constraint["fun"](found.x) > -1e-9 for constraint in constraints)
            if feasible:  # the solver fails from some starting points
                best = min(best, found.fun)
        return float(best)


def cases(name: str, domain) -> tuple[float | None, PerturbationSet, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    order, make = BALLS[name]
    x = torch.rand(CASES, SIZE, dtype=torch.float64, generator=generator)
    x[0, :2] = torch.tensor([0.0, 1.0])  # at the ends of the domain
    x[1, 0] = -0.1  # outside it
    other = torch.randn(CASES, SIZE, dtype=torch.float64, generator=generator)
    other[2, 1] = 0
    return order, make(domain), x, other


@pytest.mark.parametrize("domain", [None, DOMAIN], ids=["whole", "cut"])
@pytest.mark.parametrize("name", BALLS)
def test_projections_are_the_nearest_points(name: str, domain) -> None:
    order, ball, x, other = cases(name, domain)
    region = ball.at(x)
    points = x + other
    found = region.project(points)
    assert region.contains(found).all()
    for sample in range(CASES):
        goal = points[sample].numpy()
        best = Solver(order, x[sample].numpy(), domain).minimum(
            lambda z, goal=goal: ((z - goal) ** 2).sum() / 2, lambda z, goal=goal: z - goal
        )
        reached = float((found[sample] - points[sample]).square().sum() / 2)
        assert best - 1e-6 <= reached <= best + 1e-6


@pytest.mark.parametrize("domain", [None, DOMAIN], ids=["whole", "cut"])
@pytest.mark.parametrize("name", BALLS)
def test_steepest_points_maximise_linear_functions(name: str, domain) -> None:
    order, ball, x, other = cases(name, domain)
    region = ball.at(x)
    found = region.steepest(other)
    assert region.contains(found).all()
    for sample in range(CASES):
        row = other[sample].numpy()
        solver = Solver(order, x[sample].numpy(), domain)
        if order == 1:  # a linear program
            linear = linprog(
                numpy.concatenate([-row, row]), A_ub=numpy.ones((1, 2 * SIZE)), b_ub=[RADIUS], bounds=solver.bounds
            )
            best = row @ x[sample].numpy() - linear.fun
        else:
            best = -solver.minimum(lambda z, row=row: -(row @ z), lambda z, row=row: -row)
        reached = float(other[sample] @ found[sample])
        assert best - 1e-6 <= reached <= best + 1e-6


def test_products_are_projected_and_maximised_part_by_part() -> None:
    _, _, x, other = cases("l1", DOMAIN)
    parts = [L1Ball(RADIUS, DOMAIN), None, L2Ball(RADIUS, DOMAIN), LinfBall(RADIUS)]
    shapes = ((SIZE,), (1,), (SIZE,), (SIZE,))
    whole = torch.cat([x, x[:, :1], x, x], 1)
    far = torch.cat([x + other, x[:, :1] + 1, x - other, x + 2 * other], 1)
    region = ProductSet(tuple(parts), shapes).at(whole)
    for answer in ("project", "steepest"):
        found = getattr(region, answer)(far).split([SIZE, 1, SIZE, SIZE], 1)
        for part, own, given_ in zip(parts, found, far.split([SIZE, 1, SIZE, SIZE], 1)):
            alone = own if part is None else getattr(part.at(x), answer)(given_)
            torch.testing.assert_close(own, x[:, :1] if part is None else alone)


@settings(max_examples=60)
@given(st.integers(0, 2**16), st.booleans(), st.integers(1, 20))
def test_crossings_of_sums_of_clamped_lines_agree_with_bisection(seed: int, endless: bool, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        scale = 10.0 ** torch.randint(-4, 4, shape, generator=generator)
        return torch.randn(shape, generator=generator, dtype=torch.float64).abs() * scale

    slope = draw(4, count) * (torch.rand(4, count, generator=generator) < 0.8)
    offset, least = draw(4, count) - draw(4, count), draw(4, count)
    most, end = least + draw(4, count), torch.full((4, 1), 1e30).double() if endless else draw(4, 1)

    def total(t: Tensor) -> Tensor:
        return (slope * t + offset).clamp(least, most).sum(1, keepdim=True)

    aim = total(draw(4, 1))
    low, high = torch.zeros_like(end), end
    for _ in range(300):
        middle = (low + high) / 2
        below = total(middle) <= aim
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    found = crossing(slope, offset, least, most, aim, end)
    torch.testing.assert_close(total(found), total(low), rtol=1e-8, atol=1e-12)


@settings(max_examples=60)
@given(st.integers(0, 2**16), st.integers(1, 20), st.sampled_from([torch.float32, torch.float64]))
@pytest.mark.parametrize("order", [1.0, 2.0, 3.0])
def test_offsets_shrunk_without_a_bracket_are_those_of_sums_of_clamped_lines(
    order: float, seed: int, count: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scale = 10.0 ** torch.randint(-3, 3, (3, 6, count), generator=generator)
    offset, low, high = (torch.randn(3, 6, count, generator=generator, dtype=torch.float64) * scale).to(dtype)
    offset = offset * (torch.rand(6, count, generator=generator) < 0.8)
    room, share = Room.between(-low.abs(), high.abs()), torch.rand(6, 1, generator=generator, dtype=dtype)
    clamped = torch.linalg.vector_norm(offset.clamp(room.low, room.high), order, 1, keepdim=True)
    reach = share * clamped * 1.1 + torch.finfo(dtype).tiny
    found = lowered_offset(offset, room, reach) if order == 1 else scaled_offset(order, offset, room, reach)
    size, most, none = offset.abs(), room.most(offset), torch.zeros(6, 1, dtype=dtype)
    if order == 1:
        peak = size.amax(1, keepdim=True)
        less = peak - crossing(torch.ones_like(size), size - peak, room.gap, most, reach, peak)
        expected = offset - offset.clamp(-less, less)
    else:
        expected = offset * crossing(size**order, none, none, most**order, reach**order, none + 1) ** (1 / order)
    error = 200 * torch.finfo(dtype).eps
    if found is not None:
        assert (found == found.clamp(room.low, room.high)).all()
        torch.testing.assert_close(
            found, expected.clamp(room.low, room.high), rtol=error, atol=error * float(reach.max())
        )


def test_offsets_that_are_shrunk_without_a_bracket_mostly_converge() -> None:
    generator = torch.Generator().manual_seed(0)
    x, offset = torch.rand(2, 50, 200, generator=generator)
    room = Room.between(-x, 1 - x)
    assert lowered_offset(offset - 0.5, room, torch.full((50, 1), 10.0)) is not None
    assert scaled_offset(2, offset - 0.5, room, torch.full((50, 1), 1.0)) is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_whose_squares_overflow_are_brought_inside(dtype: torch.dtype) -> None:
    x = torch.full((2, 3), 0.5, dtype=dtype)
    region = L2Ball(0.5, (0, 1)).at(x)
    far = x + torch.tensor([[3.0, 4.0, 0.0], [0.3, 0.4, 0.0]], dtype=dtype) * torch.tensor(
        [[torch.finfo(dtype).max ** 0.75], [2.0]], dtype=dtype
    )
    found = region.retract(far)
    assert region.contains(found).all()
    torch.testing.assert_close(found[1], torch.tensor([0.8, 0.9, 0.5], dtype=dtype))
