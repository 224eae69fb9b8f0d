"""Rigorous bounds in float32 allow for their rounding error, so that they hold in exact arithmetic."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.effort import effort
from support.networks import Network
from support.random_networks import RandomNetwork, networks
from torch import Tensor, nn

import autodual
from autodual.ir import ops
from autodual.network import DualNetwork
from autodual.perturbations import L2Ball, LinfBall, PerturbationSet
from autodual.policies import InnerBounds, LastBound, SlopePolicy

SLOPES = pytest.mark.parametrize("slopes", ["shared", "adaptive"])


def _check(
    dual: DualNetwork,
    x: Tensor,
    ball: PerturbationSet,
    objective: Tensor,
    slopes: SlopePolicy,
    inner: InnerBounds = "dual",
    last: LastBound = "dual",
    balls: bool = False,
) -> Tensor:
    """The float32 bound is below every value that float64 finds; returns the error allowed for."""
    region = ball.at(x.double())
    points = torch.cat([region.centre.unsqueeze(0), region.corners(60, torch.Generator().manual_seed(0))])
    values = dual.outputs(points.flatten(0, 1)).reshape(len(points), len(x), -1) @ objective.double().T
    found = dual(x, ball, objective, slopes=slopes, inner=inner, last=last, balls=balls, rigorous=True).objective
    assert found is not None and found.error is not None
    assert bool((found.lower.double() <= values.min(0).values).all())
    assert bool((found.error >= 0).all())
    return found.error


@SLOPES
@effort(60)
@given(networks(), st.sampled_from([0.0, 1e-6, 0.1]), st.integers(0, 2**16))
def test_float32_bounds_allow_for_their_rounding(
    slopes: SlopePolicy, model: RandomNetwork, radius: float, seed: int
) -> None:
    """At radius zero the exact bound is the network's own value, so that only rounding separates the two."""
    x = torch.rand(2, *model.shape, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        _check(model.dual(), x, LinfBall(radius), torch.eye(3), slopes)


@effort(40)
@given(networks(), st.sampled_from([0.0, 1e-6, 0.1]), st.integers(0, 2**16))
def test_balls_allow_for_their_rounding(model: RandomNetwork, radius: float, seed: int) -> None:
    """At radius zero a ball is as large as the rounding of the clean pass."""
    x = torch.rand(2, *model.shape, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        _check(model.dual(), x, L2Ball(radius), torch.eye(3), "adaptive", balls=True)


@pytest.mark.parametrize(("inner", "last"), [("interval", "interval"), ("interval", "dual"), ("dual", "interval")])
@effort(40)
@given(networks(), st.sampled_from([0.0, 1e-6, 0.1]), st.integers(0, 2**16))
def test_intervals_allow_for_their_rounding_too(
    inner: InnerBounds, last: LastBound, model: RandomNetwork, radius: float, seed: int
) -> None:
    x = torch.rand(2, *model.shape, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        _check(model.dual(), x, LinfBall(radius), torch.eye(3), "adaptive", inner, last)


@effort(40)
@given(networks(), st.sampled_from([0.0, 1e-6, 0.1]), st.integers(0, 2**16))
def test_rigorous_float32_bounds_stay_below_float64_bounds(model: RandomNetwork, radius: float, seed: int) -> None:
    """The rigorous float32 bound never exceeds the float64 bound."""
    dual, x = model.dual(), torch.rand(2, *model.shape, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        exact = dual.lower_bounds(x.double(), L2Ball(radius), torch.eye(3))
        rigorous = dual(x, L2Ball(radius), torch.eye(3), rigorous=True).lower.double()
    assert bool((rigorous <= exact + 1e-12 * (1 + exact.abs())).all())


@SLOPES
@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_ill_conditioned_networks(slopes: SlopePolicy, scale: float) -> None:
    """Large weights that cancel, and biases of a million that the next layer takes away again."""
    generator = torch.Generator().manual_seed(3)

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64)

    network = Network((6,))
    first, noise = scale * normal(20, 6), normal(10, 6)
    first[10:] = first[:10] + noise
    bias = torch.full((20,), scale, dtype=torch.float64)
    hidden = network.add(ops.Linear(network.parameter(first), network.parameter(bias)), "input")
    second = torch.cat([torch.eye(10), -torch.eye(10)], 1).double()
    last = network.add(ops.Linear(network.parameter(second)), network.add(ops.Relu(), hidden))
    dual, x = network.dual(network.add(ops.Relu(), last)), torch.rand(4, 6, generator=generator)
    with torch.no_grad():
        for radius in (0.0, 1e-4):
            error = _check(dual, x, LinfBall(radius), torch.cat([torch.eye(10), -torch.eye(10)]), slopes)
            assert float(error.max()) > scale * 1e-6, "the error grows with the numbers that cancel"


def test_overflow_gives_no_infinite_lower_bound() -> None:
    """Where a row's numbers overflow, its lower bound is NaN or minus infinity, never plus infinity."""
    huge = nn.Linear(4, 4, bias=False)
    nn.init.constant_(huge.weight, 1e30)
    model = nn.Sequential(huge, nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        model[2].weight.copy_(torch.tensor([[1e15] * 4, [-1e15] * 4]))
    x = torch.full((3, 4), 0.5)
    for slopes in ("shared", "adaptive"):
        lower = autodual.compile_dual(model).lower_bounds(x, autodual.LinfBall(0.1), torch.eye(2), slopes=slopes)
        assert not bool((lower == torch.inf).any())


@pytest.mark.parametrize("last", ["dual", "interval"])
def test_constants_are_rounded_too(last: LastBound) -> None:
    """max(z, c) = c over the set; float32 cannot represent c, and the nearest number may lie above it."""
    network = Network((40,))
    value = network.parameter(1 + torch.rand(40, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    dual = network.dual(network.add(ops.Maximum(), "input", network.add(ops.Constant(value))))
    found = dual(torch.zeros(1, 40), LinfBall(0.5), torch.eye(40), rigorous=True, slopes="adaptive", last=last)
    assert bool((found.lower.double() <= network.environment()(value)).all())
