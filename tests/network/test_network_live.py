"""A dual network follows its model's parameters, does not change the model, and keeps dtype and device."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import autodual

BALL = autodual.LinfBall(0.1)
LABELS = torch.tensor([0, 2])
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def _model(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(),
        nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3),
    )  # fmt: skip
    model(torch.randn(8, 1, 4, 4))
    return model.to(dtype)


def _samples(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=dtype)


def _fresh(model: nn.Module, x: Tensor) -> Tensor:
    return autodual.compile_dual(copy.deepcopy(model)).margins(x, LABELS, BALL)


def test_an_optimiser_step_is_seen_without_recompilation() -> None:
    model, x = _model(), _samples()
    dual = autodual.compile_dual(model, x)
    compiled = dual.compiled(x)
    optimiser = torch.optim.SGD(dual.parameters(), lr=0.1)
    before = dual.margins(x, LABELS, BALL).detach()
    for _ in range(2):
        optimiser.zero_grad()
        autodual.robust_loss(dual, x, LABELS, BALL).backward()
        optimiser.step()
        torch.testing.assert_close(dual.margins(x, LABELS, BALL), _fresh(model, x), atol=1e-12, rtol=0)
    assert dual.compiled(x) is compiled
    assert not torch.allclose(before, dual.margins(x, LABELS, BALL))


def test_loading_copying_and_converting() -> None:
    """The copy has its own parameters; the original keeps its bounds."""
    model, x = _model(), _samples()
    dual = autodual.compile_dual(model, x)
    before = dual.margins(x, LABELS, BALL).detach()
    other = copy.deepcopy(dual)
    state = {name: value + 0.1 * torch.randn_like(value).abs() for name, value in model.state_dict().items()
             if value.is_floating_point()}  # fmt: skip
    other.model.load_state_dict(state, strict=False)
    torch.testing.assert_close(other.margins(x, LABELS, BALL), _fresh(other.model, x), atol=1e-12, rtol=0)
    assert torch.equal(dual.margins(x, LABELS, BALL), before)
    single = autodual.compile_dual(_model(torch.float32), x.float())
    single.to(torch.float64)
    torch.testing.assert_close(single.margins(x, LABELS, BALL), _fresh(single.model, x), atol=1e-12, rtol=0)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_alone(training: bool) -> None:
    """Mode, buffers, hooks, requires_grad and gradients stay unchanged; bounds are those of evaluation mode."""
    model, x, calls = _model().train(training), _samples(), []
    model[3].eval()
    model[0].weight.requires_grad_(False)
    model[1].register_forward_hook(lambda *arguments: calls.append(1))
    modes = [module.training for module in model.modules()]
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    hooks = [len(module._forward_hooks) for module in model.modules()]
    dual = autodual.compile_dual(model)
    found = dual.margins(x, LABELS, autodual.LinfBall(0.0))
    autodual.certify(dual, x, BALL, LABELS)
    dual.bounds(x, BALL)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())
    assert [len(module._forward_hooks) for module in model.modules()] == hooks
    assert not model[0].weight.requires_grad and all(parameter.grad is None for parameter in model.parameters())
    outputs = copy.deepcopy(model).eval()(x)
    own = outputs.gather(1, LABELS.unsqueeze(1))
    torch.testing.assert_close(found, own - outputs, atol=1e-9, rtol=0)


class _Watch(TorchDispatchMode):
    """Records every floating-point tensor created in another dtype or on another device."""

    def __init__(self, dtype: torch.dtype, device: str):
        super().__init__()
        self.expected = (dtype, device)
        self.strangers: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(tensor, Tensor):
                kind = tensor.dtype if tensor.is_floating_point() else self.expected[0]
                if (kind, tensor.device.type) != self.expected:
                    self.strangers.append(f"{function}: {tensor.dtype} on {tensor.device}")
        return made


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("slopes", ["shared", "adaptive"])
@pytest.mark.parametrize("mode", ["pull", "push"])
def test_no_tensor_has_another_dtype_or_device(device: str, slopes: str, mode: str) -> None:
    """For float64 samples, every floating-point tensor is float64."""
    model, x = _model().to(device), _samples().to(device)
    passes = [*autodual.passes.default_pipeline()[:-1], autodual.passes.ChooseExecution(mode=mode)]
    dual = autodual.compile_dual(model, x, passes=passes)
    labels, objective = LABELS.to(device), torch.eye(3, dtype=x.dtype, device=device)
    for ball in (BALL, autodual.L2Ball(0.1), autodual.L1Ball(0.1, (0.0, 1.0))):
        region = ball.at(x)
        with _Watch(torch.float64, device) as watch:
            dual.lower_bounds(x, region.source, objective, slopes=slopes)
            dual.bounds(x, region.source, slopes=slopes)
            autodual.robust_loss(dual, x, labels, region.source, slopes=slopes).backward()
        # The user's own numbers may stay on the CPU, unrounded.
        assert not [found for found in watch.strangers if "cpu" not in found or device == "cpu"]


@pytest.mark.parametrize("slopes", ["shared", "adaptive"])
def test_gradients_are_those_of_finite_differences(slopes: str) -> None:
    """With respect to parameters, the input and the radius, in float64."""
    model, x = _model(), _samples().requires_grad_()
    dual = autodual.compile_dual(model, x)
    weights = [model[0].weight, model[8].bias, model[1].weight]
    radius = torch.tensor([0.05, 0.08], dtype=x.dtype, requires_grad=True)

    def loss(x: Tensor, radius: Tensor, *weights: Tensor) -> Tensor:
        return autodual.robust_loss(dual, x, LABELS, autodual.LinfBall(radius), slopes=slopes)

    def margins(x: Tensor, radius: Tensor, *weights: Tensor) -> Tensor:
        return dual.margins(x, LABELS, autodual.L2Ball(radius), slopes=slopes)

    assert torch.autograd.gradcheck(loss, (x, radius, *weights), atol=1e-6)
    assert torch.autograd.gradcheck(margins, (x, radius, *weights), atol=1e-6)
