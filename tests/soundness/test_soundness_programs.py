"""Bounds compared with exact optima: linear programs over the relaxations, and the true minimum by a MILP."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from support.effort import effort
from support.programs import NetworkProgram
from support.random_networks import RandomNetwork, networks
from torch import Tensor

from autodual.interval import Interval
from autodual.perturbations import Box, L1Ball, LinfBall, PerturbationSet
from autodual.policies import SlopePolicy

#: The solver's tolerance, relative to the values.
SOLVER = 1e-7
RADII = st.sampled_from([1e-3, 0.1, 0.5])


def _sample(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.rand(1, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _polyhedron(kind: str, x: Tensor, radius: float) -> PerturbationSet:
    flat = torch.arange(x.numel()).reshape(x.shape) % 2 * radius
    return {
        "linf": LinfBall(radius),
        "linf clipped": LinfBall(radius, (0.0, 1.0)),
        "box": Box(x - flat, x + radius / 3),
        "l1": L1Ball(radius),
    }[kind]


def _program(model: RandomNetwork, x: Tensor, ball: PerturbationSet) -> NetworkProgram:
    program = NetworkProgram(model.dual(), x)
    if isinstance(ball, L1Ball):
        program.within_l1(x[0], float(ball.radius))
    else:
        enclosure = ball.at(x).enclosure()
        program.within_box(enclosure.lower[0], enclosure.upper[0])
    return program


def _arrays(intervals: Mapping[str, Interval]) -> dict[str, np.ndarray]:
    return {
        name: torch.stack([interval.lower[0], interval.upper[0]]).flatten(1).detach().numpy()
        for name, interval in intervals.items()
    }


def _objective(seed: int) -> Tensor:
    return torch.randn(1, 3, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)


@pytest.mark.parametrize("kind", ["linf", "linf clipped", "box", "l1"])
@effort(30)
@given(networks(most_layers=4), RADII, st.integers(0, 2**16))
def test_shared_slopes_reach_the_optimum_over_the_parallelograms(
    kind: str, model: RandomNetwork, radius: float, seed: int
) -> None:
    """Strong duality: if both lines have the same slope, the dual solution is optimal."""
    x, objective, dual = _sample(model.shape, seed), _objective(seed), model.dual()
    ball = _polyhedron(kind, x, radius)
    program = _program(model, x, ball)
    intervals = _arrays(dual.bounds(x, ball))
    program.parallelograms(intervals)
    best = program.minimum(program.output, objective[0].numpy())
    bound = dual.lower_bounds(x, ball, objective).item()
    assert bound == pytest.approx(best.value, rel=SOLVER, abs=SOLVER)
    for name, (lower, upper) in list(intervals.items())[-1:]:
        unit = np.eye(len(lower))[seed % len(lower)]
        assert lower @ unit == pytest.approx(program.minimum(name, unit).value, rel=SOLVER, abs=SOLVER)
        assert upper @ unit == pytest.approx(-program.minimum(name, -unit).value, rel=SOLVER, abs=SOLVER)


@pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
@effort(50)
@given(networks(most_layers=4), st.sampled_from(["linf", "linf clipped", "box", "l1"]), RADII, st.integers(0, 2**16))
def test_no_bound_exceeds_the_optimum_over_the_triangles(
    slopes: SlopePolicy, model: RandomNetwork, kind: str, radius: float, seed: int
) -> None:
    x, objective, dual = _sample(model.shape, seed), _objective(seed), model.dual()
    ball = _polyhedron(kind, x, radius)
    program = _program(model, x, ball)
    program.triangles(_arrays(dual.bounds(x, ball, slopes=slopes)))
    best = program.minimum(program.output, objective[0].numpy())
    bound = dual.lower_bounds(x, ball, objective, slopes=slopes).item()
    assert bound <= best.value + SOLVER * (1 + abs(best.value))


@effort(50)
@given(networks(most_layers=4), st.sampled_from(["linf", "linf clipped", "box"]), RADII, st.integers(0, 2**16))
def test_no_bound_exceeds_the_true_minimum(model: RandomNetwork, kind: str, radius: float, seed: int) -> None:
    """The network is run at the minimiser, so that the solver's tolerance does not matter."""
    x, objective, dual = _sample(model.shape, seed), _objective(seed), model.dual()
    ball = _polyhedron(kind, x, radius)
    program = _program(model, x, ball)
    assume(program.exactly() <= 14)
    best = program.minimum(program.output, objective[0].numpy())
    point = ball.at(x).project(best.point.unsqueeze(0))
    reached = (dual.outputs(point) @ objective.T).item()
    assert reached == pytest.approx(best.value, rel=1e-5, abs=1e-5), "the program is not the network"
    for slopes in ("shared", "adaptive", "optimized"):
        bound = dual.lower_bounds(x, ball, objective, slopes=slopes).item()
        assert bound <= reached + 1e-10 * (1 + abs(reached)), slopes
