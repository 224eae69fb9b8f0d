"""Means and variances by channel: PyTorch's numbers and gradients, in any layout, also where the mean is large."""

from __future__ import annotations

import pytest
import torch

from autodual.train.channel_moments import channel_moments


@pytest.mark.parametrize("extent", [(), (5,), (3, 4)])
def test_numbers_and_gradients_are_those_of_var_mean(extent) -> None:
    value = torch.randn(6, 3, *extent, dtype=torch.float64)
    if len(extent) == 2:
        value = value.contiguous(memory_format=torch.channels_last)
    value.requires_grad_()
    axes = [axis for axis in range(value.dim()) if axis != 1]
    weights = torch.randn(2, 3, dtype=torch.float64)
    variance, mean = torch.var_mean(value, axes, correction=0)
    found = channel_moments(value)
    torch.testing.assert_close(found, (mean, variance))
    (expected,) = torch.autograd.grad((weights[0] * mean + weights[1] * variance.sqrt()).sum(), value)
    (gradient,) = torch.autograd.grad((weights[0] * found[0] + weights[1] * found[1].sqrt()).sum(), value)
    torch.testing.assert_close(gradient, expected)


def test_gradients_of_gradients_are_right() -> None:
    value = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(channel_moments, (value,))
    assert torch.autograd.gradgradcheck(channel_moments, (value,))


def test_a_large_mean_costs_the_variance_no_digits() -> None:
    """E[x²] - E[x]² would be 0 here in float32."""
    value = 1e4 + torch.tensor([[-1.0], [1.0]]).repeat(8, 2)
    torch.testing.assert_close(channel_moments(value)[1], torch.ones(2))
