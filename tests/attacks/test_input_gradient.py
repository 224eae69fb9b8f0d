"""Gradients that go back past a first convolution by hand are autograd's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from autodual.attacks import Pgd, input_gradient
from autodual.attacks.input_gradient import InputGradients
from autodual.perturbations import LinfBall
from autodual.specs import ClassMargin

SIDE = 9


class Normalised(nn.Module):
    """Something between the input and the convolution."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model((x - 0.3) / 0.2 + x.square())


class Beside(Normalised):
    """A second way to the input, past the convolution."""

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) + x.flatten(1)[:, :1]


class Twice(Normalised):
    """The convolution reads the input twice."""

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) + self.model(1 - x)


class Filtered(nn.Module):
    """Weights that depend on the input, too."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.first, self.rest = model[0], model[1:]

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(nn.functional.conv2d(x, self.first.weight * x.mean(), None, 2))


class WithoutGradient(torch.autograd.Function):
    """A user's op that does not go back."""

    @staticmethod
    def forward(context: object, x: Tensor) -> Tensor:
        return x.sign()

    @staticmethod
    def backward(context: object, gradient: Tensor) -> None:
        return None


def network(channels: int, **options: object) -> nn.Sequential:
    torch.manual_seed(0)
    first = nn.Conv2d(channels, 4, 3, **options)  # type: ignore[arg-type]
    features = first(torch.zeros(1, channels, SIDE, SIDE)).numel()
    return nn.Sequential(first, nn.Tanh(), nn.Flatten(), nn.Linear(features, 3)).double()


def compared(model: nn.Module, channels: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Checks the gradient against autograd's, and returns how often `fold` was called for it."""
    folds, fold = [], nn.functional.fold
    monkeypatch.setattr(input_gradient.functional, "fold", lambda *args: folds.append(1) or fold(*args))
    points = torch.rand(2, channels, SIDE, SIDE, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(model(points).square().sum(), points)
    outputs = model(points)
    found = InputGradients().of(outputs, 2 * outputs.detach(), points)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert all(parameter.grad is None for parameter in model.parameters())
    return len(folds)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2, "padding": 1}, {"stride": (1, 2), "padding": (0, 2), "dilation": (2, 1)}, {"padding": "same"}],
)
def test_a_first_convolution_of_few_channels_is_passed_by_hand(
    channels: int, trained: bool, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compared(network(channels, **options).requires_grad_(trained), channels, monkeypatch) == 1


def test_what_comes_before_the_convolution_is_autograds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compared(Normalised(network(1)), 1, monkeypatch) == 1


@pytest.mark.parametrize("kind", [Beside, Twice, Filtered])
def test_other_ways_to_the_input_are_not_forgotten(kind: type[nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    assert compared(kind(network(1, stride=2)), 1, monkeypatch) == 0


@pytest.mark.parametrize("options", [{"groups": 2}, {}])
def test_groups_and_many_channels_are_autograds(options: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    channels = 2 if options else 8
    assert compared(network(channels, **options), channels, monkeypatch) == 0


def test_outputs_that_do_not_depend_on_the_points_have_gradient_zero() -> None:
    points, weight = torch.rand(2, 3, requires_grad=True), torch.ones(2, 1, requires_grad=True)
    assert not InputGradients().of(torch.ones(2, 1), torch.ones(2, 1), points).any()
    assert not InputGradients().of(weight * 2, torch.ones(2, 1), points).any()


def test_an_op_without_a_gradient_behind_the_convolution_gives_zero() -> None:
    points = torch.rand(2, 1, SIDE, SIDE, requires_grad=True)
    features = nn.Conv2d(1, 2, 3)(points)
    outputs = WithoutGradient.apply(features).flatten(1)
    assert not InputGradients().of(outputs, torch.ones_like(outputs), points).any()


def test_an_attack_finds_the_same_without_the_shortcut(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(1, padding=1)
    x = torch.rand(6, 1, SIDE, SIDE, dtype=torch.float64)
    region, goal = LinfBall(0.1, (0, 1)).at(x), ClassMargin(model(x).argmax(1))
    found = Pgd(5).run(model, region, goal)
    monkeypatch.setattr(input_gradient, "_first_convolution", lambda outputs, points: None)
    torch.testing.assert_close(found, Pgd(5).run(model, region, goal), rtol=0, atol=1e-9)
