"""Wrong bounds found earlier by random search, each with the smallest network that showed it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.effort import effort
from support.networks import Network
from support.random_networks import RandomNetwork, networks

from autodual.bounds import BoundState, prepare
from autodual.certification.proof import prove
from autodual.ir import ops
from autodual.measured import measured
from autodual.network import Ask
from autodual.perturbations import LinfBall
from autodual.policies import SlopePolicy
from autodual.specs import HalfSpaces


def _normal(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_row_may_leave_early_where_one_branch_is_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval of a constant is shared by all samples, but was indexed as if each sample had its own."""
    monkeypatch.setattr(measured, "early_exit_work", 0)
    network, at = Network((3,)), "input"
    for seed in range(3):
        at = network.add(ops.Linear(network.parameter(_normal(3, 3, seed=seed))), at)
        at = network.add(ops.Sigmoid() if seed < 2 else ops.Reshape((3,)), at)
    constant = network.add(ops.Constant(network.parameter(_normal(3, seed=5))))
    dual, x = network.dual(network.add(ops.Maximum(), at, constant)), 0.3 * _normal(4, 3, seed=6)
    radii, identity = torch.tensor([0.0, 0.5, 0.5, 0.5], dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    with torch.no_grad():
        whole = dual.lower_bounds(x, LinfBall(radii), identity, slopes="adaptive")
        alone = [
            dual.lower_bounds(x[place : place + 1], LinfBall(float(radius)), identity, slopes="adaptive")
            for place, radius in enumerate(radii)
        ]
    torch.testing.assert_close(whole, torch.cat(alone), atol=1e-12, rtol=0)


def test_rounding_errors_count_slopes_and_intercepts_that_cancel() -> None:
    """At the edge of a soft threshold the upper line is near 0: slope · input and intercept are large and cancel."""
    width = 100.0
    network = Network((1,))
    output = network.add(ops.Softshrink(width), "input")
    dual, x = network.dual(output), torch.tensor([[width - 3e-3]])
    plan = dual.compiled(x).plan
    state = BoundState(
        plan.graph,
        plan.rules,
        plan.bound_sites,
        dual.environment(dual.compiled(x), x),
        {"input": LinfBall(0.03).at(x)},
        replace(plan.options, rigorous=True, slopes="adaptive", intersect=False),
    )
    prepare(state, [output])
    layer = state.layers[output]
    (slope,), intercept = layer.relaxation.upper_slopes, layer.relaxation.upper_intercept
    assert float(slope) > 0.1, "the upper line is the chord over the edge"
    sizes = slope.abs() * state.intervals["input"].magnitude + intercept.abs()
    assert float(state.debts[output].magnitude) > torch.finfo(x.dtype).eps * float(sizes)


@pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
@pytest.mark.parametrize("leak", [1e30, -1e30, 1e9, 1.0 + 1e-15, 1e-30])
def test_leaks_of_any_size(leak: float, slopes: SlopePolicy) -> None:
    """leak + (1 - leak)·slope is not 1 after rounding for positive inputs if the leak is large."""
    network = Network((4,))
    output = network.add(ops.LeakyRelu(network.parameter(torch.tensor(leak, dtype=torch.float64))), "input")
    x, identity = torch.tensor([[0.7, -0.7, 0.02, -0.02]], dtype=torch.float64), torch.eye(4, dtype=torch.float64)
    for radius in (0.0, 0.1):
        least = network.dual(output).outputs(LinfBall(radius).at(x).enclosure().lower).squeeze(0)
        least = least.minimum(network.dual(output).outputs(x + radius).squeeze(0))
        exact = least.minimum(torch.zeros(4)) if radius else least
        crossing = (x.abs() < radius).squeeze(0)
        for dtype in (torch.float32, torch.float64):
            ball, rows = LinfBall(radius), identity.to(dtype)
            found = network.dual(output)(x.to(dtype), ball, rows, slopes=slopes, rigorous=True).lower[0].double()
            assert bool((found <= torch.where(crossing, exact, least)).all())
            room = 1e-4 if dtype == torch.float32 else 1e-11
            assert bool((found >= least - room * (1 + least.abs()))[~crossing].all()), "exact where the sign is known"


def test_nan_weights_that_meet_only_padding_prove_nothing() -> None:
    """Dual rows are cropped at the border and never meet such a weight, but it makes the network's outputs NaN."""
    network = Network((1, 2, 2))
    weight = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    weight[0, 0, 0] = torch.nan
    op = ops.Convolution(network.parameter(weight), None, (2, 2), (1, 1), (1, 1))
    output = network.add(ops.Reshape((1,)), network.add(op, "input"))
    dual, x = network.dual(output), torch.ones(2, 1, 2, 2, dtype=torch.float64)
    assert not bool(dual.outputs(x).isfinite().any())
    spec = HalfSpaces(torch.ones(1, 1, dtype=x.dtype), torch.zeros(1, dtype=x.dtype))
    assert not bool(prove(dual, LinfBall(0.1).at(x), spec, Ask(slopes="shared")).proved.any())


@effort(100)
@given(networks(kind="any"), st.sampled_from([torch.nan, torch.inf, -torch.inf]), st.booleans(), st.integers(0, 2**16))
def test_nan_and_infinite_weights_prove_nothing(model: RandomNetwork, value: float, double: bool, seed: int) -> None:
    """If a sample has a NaN output at some point, nothing is proved of it; otherwise bounds hold."""
    generator = torch.Generator().manual_seed(seed)
    weights = [weight for weight in model.network.module.parameters() if weight.numel()]
    with torch.no_grad():
        weights[seed % len(weights)].view(-1)[0] = value
        x = torch.rand(2, *model.shape, generator=generator, dtype=torch.float64 if double else torch.float32)
        dual, region = model.dual(), LinfBall(0.1).at(x.double())
        points = torch.cat([x.double().unsqueeze(0), region.corners(12, generator)])
        rows = torch.cat([torch.eye(3), -torch.eye(3)]).double()
        values = dual.outputs(points.flatten(0, 1)).reshape(len(points), len(x), -1) @ rows.T
        spec = HalfSpaces(rows, torch.full((6,), -1e3, dtype=rows.dtype))
        found = prove(dual, LinfBall(0.1).at(x), spec, Ask(slopes="adaptive"))
    assert not bool(found.proved[values.isnan().any(0).any(1)].any())
    lower = found.lower - 1e3
    assert not bool((lower.isfinite() & (lower > values.amin(0) + 1e-9 * (1 + values.abs().amax(0)))).any())
