"""The median of magnitudes, with a gradient that is fit for use.

The median's own derivative is that of the one or two entries in the middle. Each of these is a sum of Cauchy numbers
times weights, and its derivative such a number: of infinite mean, the same for all units that took the same column, and
no better with more columns (measured on an MNIST network: the cosine with the exact gradient is 0.85 with 10 and with
200 columns). So the gradient is that of the mean of all entries in the middle half, scaled to the median's size: 0.94
with 10, 0.98 with 50, 0.99 with 200 columns.
"""

from __future__ import annotations

import math
from typing import Any

import numpy
import torch
from torch import Tensor

#: Half of all |Cauchy| numbers lie between this and its reciprocal: the quartiles.
QUARTILE = math.tan(math.pi / 8)


def middle_magnitude(products: Tensor) -> Tensor:
    """The median `[*]` of |products| over the first axis `[R, *]`, the mean of both middles where R is even.

    NaN where a product is. For the backward pass one byte a product is kept.
    """
    return _MiddleMagnitude.apply(products)


def middle_half(products: Tensor, median: Tensor) -> Tensor:
    """Which products `[count, *]` have magnitudes between the quartiles that belong to a median `[*]`; never none."""
    magnitudes = products.abs()
    return (magnitudes >= QUARTILE * median) & (magnitudes <= median / QUARTILE)


class _MiddleMagnitude(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, products: Tensor) -> Tensor:
        magnitudes = products.abs()
        median = _median(magnitudes)
        if ctx.needs_input_grad[0]:
            selected = middle_half(products, median)
            total = torch.where(selected, magnitudes, 0.0).sum(0)
            factor = torch.where(total == 0, 0.0, median / total)
            ctx.save_for_backward((selected * products.sign()).to(torch.int8), factor)
        return median

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        signs, factor = ctx.saved_tensors
        return signs * (gradients[0] * factor)


def _median(magnitudes: Tensor) -> Tensor:
    rows = magnitudes.shape[0]
    unknown = magnitudes.amax(0).isnan()
    if magnitudes.device.type == "cpu":
        # One place to part at is several times as fast as two, and as torch's own selection.
        ordered = torch.from_numpy(numpy.partition(magnitudes.numpy(), rows // 2, axis=0))
        upper = ordered[rows // 2]
        median = upper.clone() if rows % 2 else (upper + ordered[: rows // 2].amax(0)) / 2
    else:
        ordered = magnitudes.sort(0).values
        median = (ordered[(rows - 1) // 2] + ordered[rows // 2]) / 2
    return median.masked_fill(unknown, torch.nan)
