"""Keeps the arithmetic of bounds what rounding error analysis assumes: no reduced precision, no fast algebra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def plain_arithmetic(device: torch.device, rigorous: bool) -> Iterator[None]:
    """Switch off autocast, TF32 and reduced-precision products; with `rigorous` also Winograd and FFT convolutions.

    The caller's settings are restored on leaving.
    """
    precision = torch.get_float32_matmul_precision()
    with ExitStack() as stack:
        stack.enter_context(torch.autocast(device_type=device.type, enabled=False))
        if device.type == "cuda":
            stack.enter_context(torch.backends.cudnn.flags(enabled=not rigorous, allow_tf32=False))
        if rigorous:
            stack.enter_context(torch.backends.nnpack.flags(enabled=False))
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(precision)
