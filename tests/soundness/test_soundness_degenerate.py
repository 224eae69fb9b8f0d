"""Sets of a single point, flat sets, empty sets, and units that are constant on the set."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.effort import effort
from support.networks import Network
from support.random_networks import RandomNetwork, networks
from torch import Tensor

import autodual
from autodual.errors import EmptySetError
from autodual.ir import ops
from autodual.network import DualNetwork
from autodual.perturbations import Box, L1Ball, L2Ball, LinfBall, LpBall
from autodual.policies import SlopePolicy

SLOPES = pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])


def _tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _rectifier(weight: Tensor, bias: Tensor) -> DualNetwork:
    """The sum of a layer of ReLUs."""
    network = Network((weight.shape[1],))
    hidden = network.add(ops.Linear(network.parameter(weight), network.parameter(bias)), "input")
    total = network.parameter(torch.ones(1, len(bias), dtype=torch.float64))
    return network.dual(network.add(ops.Linear(total), network.add(ops.Relu(), hidden)))


@SLOPES
@effort(30)
@given(networks(), st.integers(0, 2**16))
def test_a_box_of_one_point_gives_the_network_there(slopes: SlopePolicy, model: RandomNetwork, seed: int) -> None:
    """Also if that point is not the sample itself."""
    x, point = torch.rand(2, 2, *model.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    dual, identity = model.dual(), torch.eye(3, dtype=x.dtype)
    expected = dual.outputs(point)
    for bound in (dual.lower_bounds, dual.upper_bounds):
        found = bound(x, Box(point, point), identity, slopes=slopes)
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


@SLOPES
@pytest.mark.parametrize("ball", [LinfBall(0.0), L2Ball(0.0), L1Ball(0.0), LpBall(3, 0.0), L2Ball(0.0, (0, 1))])
def test_with_radius_zero_the_bound_is_the_output(slopes: SlopePolicy, ball: autodual.PerturbationSet) -> None:
    dual = _rectifier(torch.eye(2, dtype=torch.float64), _tensor(0, 0))
    x, objective = _tensor(0.0, 0.25).unsqueeze(0), _tensor(1).unsqueeze(0)
    assert dual.lower_bounds(x, ball, objective, slopes=slopes).item() == pytest.approx(0.25, abs=1e-12)
    assert dual.upper_bounds(x, ball, objective, slopes=slopes).item() == pytest.approx(0.25, abs=1e-12)


@SLOPES
def test_bounds_are_exact_with_one_undecided_unit_and_a_fixed_input(slopes: SlopePolicy) -> None:
    """relu(x₀ - x₁) with x₁ fixed: exact, since the chord of the ReLU meets the function at both ends."""
    dual = _rectifier(_tensor(1, -1).unsqueeze(0), _tensor(0))
    box = Box(_tensor(-1, 0.5), _tensor(2, 0.5))
    assert dual.upper_bounds(_tensor(0, 0).unsqueeze(0), box, _tensor(1).unsqueeze(0), slopes=slopes).item() == 1.5


@SLOPES
@pytest.mark.parametrize("bias", [-1.0, 0.0, 1.0])
def test_units_with_zero_weights_are_constants(slopes: SlopePolicy, bias: float) -> None:
    """ℓ = u, also at the kink: bounds and gradients must not divide by the width u - ℓ."""
    dual = _rectifier(torch.zeros(2, 3, dtype=torch.float64), _tensor(bias, bias))
    x = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    for bound in (dual.lower_bounds, dual.upper_bounds):
        found = bound(x, LinfBall(0.3), _tensor(1).unsqueeze(0), slopes=slopes)
        assert found.tolist() == [[2 * max(bias, 0)]] * 2
        gradients = torch.autograd.grad(found.sum(), [x, *dual.parameters()])
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@SLOPES
def test_a_unit_that_touches_zero_is_decided(slopes: SlopePolicy) -> None:
    """ℓ = 0 or u = 0: the relaxation equals the function, so the bound is exact."""
    dual = _rectifier(_tensor(1, -1).unsqueeze(1), _tensor(0, 0))
    box = Box(_tensor(0), _tensor(2))
    objective = _tensor(1).unsqueeze(0)
    assert dual.lower_bounds(_tensor(1).unsqueeze(0), box, objective, slopes=slopes).item() == 0
    assert dual.upper_bounds(_tensor(1).unsqueeze(0), box, objective, slopes=slopes).item() == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: Box(_tensor(0.0, 1.0), _tensor(1.0, 0.9999)),
        lambda: Box(torch.zeros(2, 2).double(), torch.stack([torch.ones(2), -torch.ones(2)]).double()),
        lambda: Box(0.0, 1.0, domain=(2.0, 3.0)),
        lambda: LinfBall(0.1, domain=(2.0, 3.0)),
        lambda: L2Ball(0.1, domain=(1.2, 3.0)),
    ],
    ids=[
        "crossed",
        "crossed for one sample",
        "box beside its domain",
        "l∞ ball beside its domain",
        "l2 ball beside it",
    ],
)
def test_a_set_without_points_proves_nothing(make: Callable[[], autodual.PerturbationSet]) -> None:
    """Any statement holds for all points of an empty set, so making or using one must be an error."""
    model = torch.nn.Linear(2, 2).double()
    dual, x = autodual.compile_dual(model), torch.zeros(2, 2, dtype=torch.float64)
    labels = torch.zeros(2, dtype=torch.long)
    calls = [
        lambda: autodual.certify(dual, x, make(), labels),
        lambda: dual.margins(x, labels, make()),
        lambda: dual.bounds(x, make()),
        lambda: autodual.robust_loss(dual, x, labels, make()),
    ]
    for call in calls:
        with pytest.raises(EmptySetError, match=r"(sample [01]|the box) is empty"):
            call()
