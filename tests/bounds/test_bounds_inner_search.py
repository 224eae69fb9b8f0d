"""Bounds inside the network by searched lines, and under an assumed violation: sound, never looser, tight."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from support.networks import pipeline
from support.programs import NetworkProgram
from torch import Tensor, nn

import autodual
from autodual import Constraint, LinfBall
from autodual.perturbations import L2Ball, PerturbationSet


def _compiled(seed: int, *widths: int, activation: type[nn.Module] = nn.ReLU) -> autodual.DualNetwork:
    """A network with weights as large as training makes them."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        linear = nn.Linear(before, after)
        nn.init.normal_(linear.weight, std=(2 / before) ** 0.5)
        layers += [linear, activation()]
    return autodual.compile_dual(nn.Sequential(*layers[:-1]).double(), torch.zeros(1, widths[0]).double())


def _values(dual: autodual.DualNetwork, points: Tensor, name: str) -> Tensor:
    size = dual.plan.graph[name].size
    return dual.lower_bounds(points, LinfBall(0.0), torch.eye(size, dtype=points.dtype), at=name)


@pytest.mark.parametrize("ball", [LinfBall(0.3), L2Ball(0.6)])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.LeakyReLU])
@torch.no_grad()
def test_intervals_are_sound_and_never_looser(activation: type[nn.Module], ball: PerturbationSet) -> None:
    dual = _compiled(0, 4, 12, 12, 12, 2, activation=activation)
    x, row = torch.randn(3, 4, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    before = dual(x, ball, row, slopes="adaptive", sites=True, rigorous=True)
    after = dual(x, ball, row, slopes="optimized", sites=True, rigorous=True)
    last = dual(x, ball, row, slopes="optimized", sites=True, rigorous=True, inner_steps=0)
    points = ball.at(x).sample(200, torch.Generator().manual_seed(0))
    tighter = 0.0
    for name, found in after.intervals.items():
        # Of a decided unit nobody asks for more.
        open_ = (found.lower < 0) & (found.upper > 0)
        assert bool((found.lower >= before.intervals[name].lower)[open_].all())
        assert bool((found.upper <= before.intervals[name].upper)[open_].all())
        values = _values(dual, points.flatten(0, 1), name).reshape(200, 3, -1)
        assert bool(((found.lower <= values) & (values <= found.upper)).all())
        tighter += float((found.lower - before.intervals[name].lower)[open_].sum())
    assert tighter > 1e-3 and bool((after.lower >= before.lower).all())
    assert after.lower.sum() > last.lower.sum() + 1e-4


@torch.no_grad()
def test_units_do_not_depend_on_the_batch_or_on_memory() -> None:
    dual = _compiled(1, 4, 12, 12, 12, 2)
    x, ball, row = torch.randn(5, 4, dtype=torch.float64), LinfBall(0.2), torch.eye(2, dtype=torch.float64)
    whole = dual(x, ball, row, slopes="optimized", sites=True)
    small = autodual.compile_dual(dual.model, x, passes=pipeline(at_once=7))
    for found in (
        dual(x[2:3], ball, row, slopes="optimized", sites=True),
        small(x[2:3], ball, row, slopes="optimized", sites=True),
    ):
        torch.testing.assert_close(found.lower, whole.lower[2:3], atol=1e-7, rtol=1e-7)
        for name, interval in found.intervals.items():
            torch.testing.assert_close(interval.lower, whole.intervals[name].lower[2:3], atol=1e-7, rtol=1e-7)


def _violation(dual: autodual.DualNetwork, row: Tensor, threshold: float) -> Constraint:
    """<row, f> ≤ threshold."""
    bound = torch.full((1, 1), -threshold, dtype=torch.float64)
    return Constraint({dual.plan.graph.outputs[0]: -row.unsqueeze(1)}, bound, multiplier=torch.zeros_like(bound))


@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_bounds_under_an_assumed_violation_hold_of_all_violations(seed: int) -> None:
    """They are tighter, and those of points that violate the property lie inside, each sweep's in the one before."""
    dual = _compiled(seed, 3, 10, 10, 1)
    x, ball, row = torch.zeros(1, 3, dtype=torch.float64), LinfBall(1.0), torch.ones(1, 1, dtype=torch.float64)
    points = ball.at(x).sample(4000, torch.Generator().manual_seed(seed))[:, 0]
    values = dual.outputs(points)[:, 0]
    threshold = values.quantile(0.03).item()
    asked = {"constraints": [_violation(dual, row, threshold)], "sites": True, "rigorous": True}
    found = [dual(x, ball, row, slopes="optimized", sweeps=sweeps, **asked) for sweeps in (0, 1, 3)]
    violating = points[values <= threshold]
    for earlier, later in pairwise(found):
        assert not later.infeasible.any() and later.lower.item() >= earlier.lower.item() - 1e-9
        for name, interval in later.intervals.items():
            assert bool((interval.lower >= earlier.intervals[name].lower).all())
            inside = _values(dual, violating, name)
            assert bool(((interval.lower <= inside) & (inside <= interval.upper)).all())
    assert found[0].lower.item() <= found[2].lower.item() <= values.min().item()
    widths = [sum(float((z.upper - z.lower).sum()) for z in one.intervals.values()) for one in found]
    assert widths[2] < widths[0] - 1e-3


@torch.no_grad()
def test_balls_around_clean_values_follow_what_a_violation_leaves_of_intervals() -> None:
    """Sweeps move intervals away from the clean values that balls had as their centres."""
    dual = _compiled(2, 3, 10, 10, 1)
    x, ball, row = torch.zeros(1, 3, dtype=torch.float64), L2Ball(1.0), torch.ones(1, 1, dtype=torch.float64)
    points = ball.at(x).sample(4000, torch.Generator().manual_seed(0))[:, 0]
    values = dual.outputs(points)[:, 0]
    threshold = values.quantile(0.03).item()
    asked = {"constraints": [_violation(dual, row, threshold)], "sites": True, "rigorous": True, "balls": True}
    plain, found = (dual(x, ball, row, slopes="optimized", sweeps=sweeps, **asked) for sweeps in (0, 3))
    assert not found.infeasible.any() and plain.lower.item() < found.lower.item() <= values.min().item()
    for name, interval in found.intervals.items():
        inside = _values(dual, points[values <= threshold], name)
        assert bool(((interval.lower <= inside) & (inside <= interval.upper)).all())


@torch.no_grad()
def test_a_unit_under_an_assumed_violation_reaches_the_linear_program() -> None:
    dual = _compiled(4, 3, 8, 8, 1)
    x, ball, row = torch.zeros(1, 3, dtype=torch.float64), LinfBall(1.0), torch.ones(1, 1, dtype=torch.float64)
    given = dict(dual.bounds(x, ball, slopes="adaptive"))
    site, output = list(given)[-1], dual.plan.graph.outputs[0]
    values = dual.outputs(ball.at(x).sample(4000, torch.Generator().manual_seed(0))[:, 0])
    lowest = values.quantile(0.05).item()
    program, box = NetworkProgram(dual, x), ball.at(x).enclosure()
    program.within_box(box.lower[0], box.upper[0])
    program.triangles({name: torch.cat([z.lower, z.upper]).numpy() for name, z in given.items()})
    program.at_least({output: -row[0].numpy()}, -lowest)
    units = torch.cat([torch.eye(8), -torch.eye(8)]).double()
    asked = {"at": site, "given": given, "constraints": [_violation(dual, row, lowest)]}
    start = dual(x, ball, units, slopes="adaptive", **asked).lower[0]
    found = dual(x, ball, units, slopes="optimized", steps=400, rigorous=True, **asked).lower[0]
    for unit in range(0, 16, 3):
        optimum = program.minimum(site, units[unit].numpy()).value
        assert start[unit] <= found[unit] <= optimum + 1e-9
        assert optimum - found[unit] <= 0.02 * (optimum - start[unit]) + 1e-6, (start[unit], found[unit], optimum)


@torch.no_grad()
def test_an_assumed_violation_closes_what_joint_slopes_leave_open() -> None:
    """Sets without a violation; a bound that exceeds the threshold, or an empty set of violations, proves that."""
    closed = 0
    for seed in range(3):
        dual = _compiled(seed, 20, 20, 20, 20, 2)
        generator = torch.Generator().manual_seed(seed)
        x, ball = torch.rand(1, 20, generator=generator).double(), LinfBall(0.05)
        row = torch.tensor([[1.0, -1.0]]).double()
        lowest = (dual.outputs(ball.at(x).sample(2000, generator)[:, 0]) @ row[0]).min().item()
        joint = dual(x, ball, row, slopes="optimized").lower.item()
        threshold = joint + 0.3 * (lowest - joint)  # too much for joint slopes
        asked = {"constraints": [_violation(dual, row, threshold)], "slopes": "optimized", "rigorous": True}
        assert dual(x, ball, row, **asked).lower.item() <= threshold + 1e-9
        found = dual(x, ball, row, sweeps=3, **asked)
        closed += bool(found.infeasible[0]) or found.lower.item() > threshold
        # A threshold that some point violates is never closed.
        asked["constraints"] = [_violation(dual, row, lowest + 1e-9)]
        found = dual(x, ball, row, sweeps=3, **asked)
        assert not found.infeasible[0] and found.lower.item() <= lowest + 1e-9
    assert closed >= 2


class _Choice(nn.Module):
    """A function of one scalar, then a choice between two branches."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function, self.first, self.second, self.last = function, nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(8, 3)
        for linear in (self.first, self.second):
            nn.init.normal_(linear.weight, std=0.7)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.function(torch.maximum(self.function(self.first(x)), self.second(x))))


@pytest.mark.parametrize("function", [torch.relu, torch.tanh, torch.exp, nn.functional.leaky_relu])
@torch.no_grad()
def test_searched_slopes_are_never_looser_than_shared_or_adaptive_ones(function: Callable[[Tensor], Tensor]) -> None:
    """Over the same intervals than neither; over intervals that are searched too, than adaptive ones."""
    torch.manual_seed(0)
    dual = autodual.compile_dual(_Choice(function).double())
    x, ball = torch.randn(8, 4, dtype=torch.float64), LinfBall(0.2)
    rows = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    given = dual.bounds(x, ball, slopes="adaptive")
    shared, adaptive, searched = (
        dual.lower_bounds(x, ball, rows, slopes=slopes, given=given, steps=12)
        for slopes in ("shared", "adaptive", "optimized")
    )
    assert bool((searched >= adaptive - 1e-12).all()) and bool((adaptive >= shared - 1e-12).all())
    inside = dual.lower_bounds(x, ball, rows, slopes="optimized", steps=12)
    assert bool((inside >= dual.lower_bounds(x, ball, rows, slopes="adaptive")).all())
