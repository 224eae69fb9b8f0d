"""Strides and dilations beyond 32 bits, which kernels would truncate to other numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import autodual

BEYOND = pytest.mark.parametrize("step", [2**62, 2**32 + 1, 2**31])
REFUSED = r"32 bits|does not run"


@BEYOND
@pytest.mark.parametrize(
    "layer",
    [
        lambda step: nn.Conv2d(1, 1, 1, stride=step),
        lambda step: nn.AvgPool2d(3, stride=step),
        lambda step: nn.AvgPool2d(3, stride=step, ceil_mode=True),
        lambda step: nn.LPPool2d(2, 3, stride=step),
        lambda step: nn.MaxPool2d(3, stride=step),
        lambda step: nn.MaxPool2d(1, stride=1, dilation=step),
    ],
)
def test_a_step_beyond_32_bits_is_refused_with_its_reason(layer, step: int) -> None:
    model = nn.Sequential(layer(step), nn.Flatten()).eval()
    with pytest.raises(autodual.AutodualError, match=REFUSED):
        autodual.compile_dual(model, torch.zeros(1, 1, 4, 4))


@BEYOND
def test_a_single_window_has_right_bounds_whatever_its_stride(step: int) -> None:
    model, x = nn.Sequential(nn.MaxPool1d(3, stride=step), nn.Flatten()), torch.tensor([[[0.3, 0.9, 0.5, 1.0]]])
    bound = autodual.compile_dual(model, x).lower_bounds(x, autodual.LinfBall(0.1), torch.eye(1))
    assert bound.item() == pytest.approx(0.8)
