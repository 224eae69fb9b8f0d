"""What is asked of tensors in every room: whether they are finite or shared by all samples, and where to bound them."""

from __future__ import annotations

import torch
from torch import Tensor

_HALF = (torch.float16, torch.bfloat16)


def all_finite(values: Tensor) -> bool:
    """Whether no entry of a tensor of any shape is NaN or infinite; integers never are.

    By the largest magnitude, which NaN takes part in: a quarter of the time of `values.isfinite().all()`, whose
    reduction of booleans is slow on CPUs and showed in training steps.
    """
    if not values.is_floating_point() or values.numel() == 0:
        return True
    return bool(values.detach().abs().amax().isfinite())


def shared(values: Tensor) -> Tensor:
    """Per-sample values `[N, …]` as `[1, …]` where one was expanded to all samples, and need not be worked on N times.

    Seen by the stride, so that nothing waits for the values themselves.
    """
    return values[:1] if values.dim() and values.shape[0] > 1 and values.stride(0) == 0 else values


def bounding_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which bounds of samples of some dtype are computed: float32 in place of half precision.

    Rounding in half precision is as large as what bounds are to tell apart: plain ones were above the truth by 0.002.
    """
    return torch.float32 if dtype in _HALF else dtype
