"""Strides that kernels cannot keep: one that is cut to 32 bits is another one, or none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import autodual


@pytest.mark.parametrize("options", [{"stride": 2**62}, {"stride": 2**32 + 1}])
def test_a_stride_beyond_32_bits_is_refused_with_its_reason(options: dict[str, int]) -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 1, **options), nn.Flatten()).eval()
    with pytest.raises(autodual.AutodualError, match=r"32 bits|does not run"):
        autodual.compile_dual(model, torch.zeros(1, 1, 4, 4))
