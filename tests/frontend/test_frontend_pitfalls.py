"""Mistakes that other verifiers were reported to make with ordinary models."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as functional
from support.agreement import Applied, assert_same
from torch import Tensor, nn

import autodual
from autodual.frontend import trace
from autodual.perturbations import LinfBall

torch.set_num_threads(1)


def small(channels: int = 2, size: int = 4) -> nn.Module:
    """A convolutional network with a pool whose windows overlap."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.GELU(), nn.MaxPool2d(3, 1))
    return nn.Sequential(body, nn.Flatten(), nn.Linear(3 * (size - 2) ** 2, 3)).double().eval()


def enclosed(model: nn.Module, dual: autodual.DualNetwork, x: Tensor, ball: LinfBall) -> Tensor:
    """Lower bounds of all outputs, checked against samples."""
    lower = dual.lower_bounds(x, ball, torch.eye(3, dtype=x.dtype))
    points = ball.at(x).corners(50, torch.Generator().manual_seed(0))
    reached = model(points.flatten(0, 1)).reshape(50, len(x), 3).amin(0)
    assert bool((reached >= lower - 1e-9).all())
    return lower


def test_no_perturbation_gives_the_outputs() -> None:
    model, x = small(), torch.rand(3, 2, 4, 4, dtype=torch.float64)
    dual = autodual.compile_dual(model, x)
    lower = dual.lower_bounds(x, LinfBall(0.0), torch.eye(3, dtype=x.dtype))
    torch.testing.assert_close(lower, model(x), rtol=0, atol=1e-9)


def test_a_radius_for_each_sample() -> None:
    model, x = small(), torch.rand(3, 2, 4, 4, dtype=torch.float64)
    dual = autodual.compile_dual(model, x)
    radii = torch.tensor([0.0, 0.01, 0.1], dtype=torch.float64)
    together = enclosed(model, dual, x, LinfBall(radii))
    for place, radius in enumerate(radii.tolist()):
        alone = enclosed(model, dual, x[place : place + 1], LinfBall(radius))
        torch.testing.assert_close(together[place : place + 1], alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_a_batch_as_large_as_the_channels(channels: int) -> None:
    """Batch, channels and extents of the same size, and a batch of one."""
    model, x = small(channels), torch.rand(channels, channels, 4, 4, dtype=torch.float64)
    dual = autodual.compile_dual(model, x)
    together = enclosed(model, dual, x, LinfBall(0.05))
    alone = torch.cat([enclosed(model, dual, sample[None], LinfBall(0.05)) for sample in x])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-9)


def test_inputs_may_change_their_shape() -> None:
    """A network of convolutions takes images of any size; each gets a plan of its own."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.SiLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten()).double().eval()
    dual = autodual.compile_dual(model)
    for shape in [(3, 2, 4, 4), (1, 2, 6, 5), (2, 2, 4, 4)]:
        enclosed(model, dual, torch.rand(shape, dtype=torch.float64), LinfBall(0.05))


class Repeated(nn.Module):
    """One module applied thirty times, each time to the sum of its last input and output."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(30):
            x = self.inner(x) + x
        return x


@pytest.mark.parametrize("in_place", [False, True])
def test_thirty_uses_of_one_module_are_traced_in_seconds(in_place: bool) -> None:
    """Walking every path would be 2³⁰ steps."""

    class InPlace(Repeated):
        def forward(self, x: Tensor) -> Tensor:
            x = x.clone()
            for _ in range(30):
                x += self.inner(x)
            return x

    start = time.perf_counter()
    traced = assert_same(InPlace() if in_place else Repeated(), (4,))
    assert time.perf_counter() - start < 20
    assert len(traced.graph.nodes) == 91


def _unpacked(x: Tensor) -> Tensor:
    first, *rest = x.unbind(1)
    return first + sum(rest)


IN_PLACE: dict[str, Callable[..., Tensor]] = {
    "activations on the input itself": lambda m, x: functional.leaky_relu_(x, 0.3).sigmoid_().mul_(2),
    "sums": lambda m, x: (x + 0).add_(1).sub_(m.vector).div_(3).neg_(),
    "sums of a view": lambda m, x: _into_a_view(x),
    "an output used twice": lambda m, x: (lambda y: y.relu() * y.sigmoid() + y)(x @ m.square),
    "a branch changed after it was read": lambda m, x: _changed_after(x),
    "elu and hardtanh": lambda m, x: functional.hardtanh_(functional.elu_(x + 1), -0.5, 2.0),
    "filled": lambda m, x: (x + 0).masked_fill_(m.vector > 0, 3.0).clamp_(max=2),
    "sqrt and exp": lambda m, x: (x * x).add_(1).sqrt_().exp_().reciprocal_(),
    "unpacked": lambda m, x: _unpacked(x),
    "a list of parts": lambda m, x: torch.stack([part * 2 for part in x.split(1, 1)], 1).sum(1),
}


def _into_a_view(x: Tensor) -> Tensor:
    y = x * 2
    y[:, :2] += y[:, 2:]
    y[:, 3].zero_()
    return y


def _changed_after(x: Tensor) -> Tensor:
    y = x * 2
    kept = y + 1
    y.relu_()
    return kept * y


@pytest.mark.parametrize("name", IN_PLACE)
def test_operations_in_place(name: str) -> None:
    assert_same(Applied(IN_PLACE[name]), (4,))


def test_deeply_nested_modules() -> None:
    model: nn.Module = nn.Linear(4, 4)
    for depth in range(20):
        model = nn.Sequential(model) if depth % 2 else nn.Sequential(model, nn.Identity())
    traced = assert_same(model, (4,))
    assert [node.op.kind for node in traced.graph] == ["input", "linear"]


def test_a_model_in_training_mode_is_traced_for_inference_and_left_in_training() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Hardswish())
    trace(model, torch.randn(2, 4))
    assert all(module.training for module in model.modules())
    assert model[1].num_batches_tracked == 0


@pytest.mark.parametrize("function", [torch.log, torch.sqrt, torch.rsqrt, lambda x: x**0.3, lambda x: torch.log(1 - x)])
def test_functions_with_a_domain_are_compared_near_the_example(function: Callable[[Tensor], Tensor]) -> None:
    """Random inputs leave the domain, where the model itself yields NaN."""
    example = torch.full((2, 4), 0.5)
    assert len(trace(Applied(lambda m, x: function(x)), example).graph.nodes) > 1
