"""Parameter expressions follow the live parameters, are differentiable, and are computed in float64, then rounded."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import nn

import autodual
from autodual.ir import Call, Environment, Parameter


def _environment(dtype: torch.dtype, **tensors: torch.Tensor) -> Environment:
    return Environment(tensors.__getitem__, dtype, torch.device("cpu"))


def test_expressions_of_parameters_are_rounded_only_once() -> None:
    """(1 + 2⁻³⁰) - 1 is 0 if each step is rounded to float32; its exact value 2⁻³⁰ is a float32 number."""
    one, small = torch.tensor(1.0), torch.tensor(2.0**-30)
    total = Call(torch.add, (Parameter("one"), Parameter("small")))
    difference = Call(torch.sub, (total, Parameter("one")))
    value = _environment(torch.float32, one=one, small=small)(difference)
    assert value.dtype == torch.float32
    assert float(value) == 2.0**-30


def test_gradients_reach_the_parameters() -> None:
    parameter = torch.tensor([1.0, 2.0], requires_grad=True)
    square = Call(torch.mul, (Parameter("p"), Parameter("p")))
    _environment(torch.float32, p=parameter)(square).sum().backward()
    torch.testing.assert_close(parameter.grad, torch.tensor([2.0, 4.0]))


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("mean", [10.0, 1e3, 1e5])
def test_a_batch_norm_whose_shift_cancels_keeps_its_float32_bounds_sound(mean: float, fold: bool) -> None:
    """β ≈ γμ/√(σ² + ϵ): the two cancel, and are far larger than the values from which rounding errors are bounded."""
    passes = [step for step in autodual.passes.default_pipeline() if fold or step.name != "fold-affine"]
    for seed in range(20):
        torch.manual_seed(seed)
        linear, norm = nn.Linear(1, 2), nn.BatchNorm1d(2)
        norm.running_mean = mean * (1 + torch.rand(2))
        norm.running_var = 0.5 + torch.rand(2)
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        norm.bias.data = (norm.running_mean.double() * scale).float().detach()
        model, x = nn.Sequential(linear, norm).eval(), torch.rand(1, 1)
        dual = autodual.compile_dual(model, passes=passes)
        ball, identity = autodual.LinfBall(0.0), torch.eye(2)
        with torch.no_grad():
            lower = dual(x, ball, identity, rigorous=True).lower[0]
            upper = -dual(x, ball, -identity, rigorous=True).lower[0]
        for unit in range(2):
            exact = _exact(linear, norm, x, unit)
            assert Fraction(float(lower[unit])) <= exact <= Fraction(float(upper[unit]))


def _exact(linear: nn.Linear, norm: nn.BatchNorm1d, x: torch.Tensor, unit: int) -> Fraction:
    """The unit's value in rational arithmetic; only the square root is in float64, far more precise than float32."""

    def number(tensor: torch.Tensor, *index: int) -> Fraction:
        return Fraction(float(tensor[index]))

    root = Fraction(float((norm.running_var[unit].double() + norm.eps).sqrt()))
    z = number(linear.weight, unit, 0) * number(x, 0, 0) + number(linear.bias, unit)
    return (z - number(norm.running_mean, unit)) / root * number(norm.weight, unit) + number(norm.bias, unit)
