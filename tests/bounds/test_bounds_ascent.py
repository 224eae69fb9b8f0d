"""Slopes and multipliers searched together: exact gradients, the linear program's optimum, nothing worse than given."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
import torch
from support.programs import NetworkProgram
from torch import Tensor, nn

import autodual
from autodual import Constraint, LinfBall, Slopes, Split
from autodual.interval import Interval
from autodual.perturbations import L2Ball, PerturbationSet


class _Residual(nn.Module):
    """Convolutions, a branch, and three kinds of relaxations."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.third, self.last = nn.Linear(18, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first(x))
        y = y + torch.tanh(self.second(y))
        return self.last(nn.functional.leaky_relu(self.third(y.flatten(1)), 0.1))


@pytest.fixture(scope="module")
def residual() -> autodual.DualNetwork:
    torch.manual_seed(0)
    return autodual.compile_dual(_Residual().double())


@pytest.mark.parametrize("ball", [LinfBall(0.3), L2Ball(0.6)])
def test_gradients_are_those_of_the_bound(residual: autodual.DualNetwork, ball: PerturbationSet) -> None:
    """By slopes, by multipliers and by the ends of intervals, against central differences."""
    x, row = torch.rand(2, 1, 3, 3, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    given = {name: z.map(Tensor.detach) for name, z in residual.bounds(x, ball, slopes="adaptive").items()}
    site = "conv2d_1"
    split = Split(site, torch.ones(1, 2, 3, 3).double(), torch.full((1, 2, 3, 3), 0.1).double())
    output = residual.plan.graph.outputs[0]

    def found(t: dict, given: dict, beta: Tensor, **options):
        one = [Split(split.node, split.sign, split.point, multiplier=beta)]
        chosen = Slopes({output: t})
        return residual(x, ball, row, given=given, constraints=one, chosen_slopes=chosen, linear=True, **options)

    beta = 0.05 * torch.rand(2, 2, 2, 3, 3, dtype=torch.float64)
    start = found({}, given, beta, slopes="optimized", steps=0, search=True).search
    slopes = {name: 0.1 + 0.8 * torch.rand_like(t) for name, t in start.slopes.items()}
    search = found(slopes, given, beta, slopes="optimized", steps=0, search=True).search

    def slope_of(moved: Callable[[float], tuple[dict, dict, Tensor]]) -> Tensor:
        high, low = (found(*moved(step), slopes="adaptive").lower for step in (1e-6, -1e-6))
        return (high - low) / 2e-6

    def with_end(end: str, at: tuple, step: float) -> tuple[dict, dict, Tensor]:
        interval = given[site].map(torch.clone)
        getattr(interval, end)[at] += step
        return slopes, {**given, site: interval}, beta

    def with_slope(at: tuple, step: float) -> tuple[dict, dict, Tensor]:
        t = slopes["relu"].clone()
        t[at] += step
        return {**slopes, "relu": t}, given, beta

    def with_multiplier(at: tuple, step: float) -> tuple[dict, dict, Tensor]:
        more = beta.clone()
        more[at] += step
        return slopes, given, more

    crossing = (given["conv2d"].lower < 0) & (given["conv2d"].upper > 0)
    by_slope = search.rows["relu"].relu() * search.points["conv2d"] * crossing.unsqueeze(1)
    for at in ((..., 0, 0, 0), (..., 1, 1, 2)):
        close = partial(torch.testing.assert_close, atol=1e-8, rtol=1e-6)
        close(slope_of(partial(with_end, "lower", at)), search.by_lower[site][at])
        close(slope_of(partial(with_end, "upper", at)), search.by_upper[site][at])
        close(slope_of(partial(with_slope, at)), by_slope[at])
        close(slope_of(partial(with_multiplier, at)), 0.1 - search.points[site][at])


def _network(seed: int, *widths: int) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).double()


def _values(dual: autodual.DualNetwork, point: Tensor, name: str) -> Tensor:
    """A node's value at one point: the bounds of its units over that point alone."""
    size = dual.compiled(point).plan.graph[name].size
    return dual.lower_bounds(point, LinfBall(0.0), torch.eye(size, dtype=point.dtype), at=name).detach()


@pytest.mark.parametrize("seed", range(4))
def test_slopes_and_multipliers_together_reach_the_linear_program(seed: int) -> None:
    """With a split ReLU, one unit cut elsewhere, a constraint between inputs, and one of inputs and output."""
    dual, ball, row = autodual.compile_dual(_network(seed, 3, 8, 8, 2)), LinfBall(0.6), torch.tensor([[1.0, -0.5]])
    x, row = torch.zeros(1, 3, dtype=torch.float64), row.double()
    given = {name: z.map(Tensor.detach) for name, z in dual.bounds(x, ball, slopes="adaptive").items()}
    first, second = given
    program, box = NetworkProgram(dual, x), ball.at(x).enclosure()
    program.within_box(box.lower[0], box.upper[0])
    point = ball.at(x).sample(1, torch.Generator().manual_seed(seed))[0]  # keeps all that is said
    splits, mixed = [], []
    for name, at in ((first, 0.1), (second, 0.0)):
        z, values = given[name], _values(dual, point, name)
        unit = int((z.upper - z.lower)[0].argmax())
        sign, cut = torch.zeros(1, 8, dtype=torch.float64), torch.zeros(1, 8, dtype=torch.float64)
        sign[0, unit], cut[0, unit] = (1.0 if values[0, unit] >= at else -1.0), at
        splits.append(Split(name, sign, cut, multiplier=torch.zeros_like(cut)))
        above, below = torch.where(sign > 0, cut, -torch.inf), torch.where(sign < 0, cut, torch.inf)
        given[name] = z.intersect(Interval(above, below))
        program.at_least({name: sign[0].numpy()}, float(sign[0, unit] * at))
    output, a = dual.plan.graph.outputs[0], torch.tensor([[[1.0, -1.0, 0.5]]], dtype=torch.float64)
    b = torch.tensor([[[0.3, 0.4]]], dtype=torch.float64)
    for nodes in ({"input": a}, {"input": -a, output: b}):
        bound = sum((values * _values(dual, point, name)).sum() for name, values in nodes.items()).reshape(1, 1) - 0.02
        mixed.append(Constraint(nodes, bound, multiplier=torch.zeros_like(bound)))
        program.at_least({name: values[0, 0].numpy() for name, values in nodes.items()}, bound.item())
    program.triangles({name: torch.cat([z.lower, z.upper]).numpy() for name, z in given.items()})
    optimum = program.minimum(output, row[0].numpy()).value
    asked = {"given": given, "constraints": [*splits, *mixed]}
    start = dual(x, ball, row, slopes="adaptive", **asked).lower.item()
    result = dual(x, ball, row, slopes="optimized", steps=400, search=True, rigorous=True, **asked)
    assert start <= result.lower.item() <= optimum + 1e-9
    assert optimum - result.lower.item() <= 0.02 * (optimum - start), (start, result.lower.item(), optimum)
    # What was found proves the same bound without a search.
    again = [
        Split(one.node, one.sign, one.point, multiplier=beta) for one, beta in zip(splits, result.search.multipliers)
    ]
    again += [Constraint(one.rows, one.bound, multiplier=b) for one, b in zip(mixed, result.search.multipliers[2:])]
    same = dual(
        x,
        ball,
        row,
        given=given,
        constraints=again,
        chosen_slopes=Slopes({output: result.search.slopes}),
        rigorous=True,
    )
    assert same.lower.item() == pytest.approx(result.lower.item(), abs=1e-9)
