"""Keeps the arithmetic of bounds what rounding error analysis assumes: no reduced precision, no fast algebra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch


@contextmanager
def plain_arithmetic(device: torch.device, rigorous: bool) -> Iterator[None]:
    """Switch off autocast, TF32 and reduced-precision products; with `rigorous` also Winograd and FFT convolutions.

    The caller's settings are restored on leaving.
    """
    # Matrix products in full float32, whichever of torch's interfaces lowered them; they cannot be read mixed.
    backends = _backends(device)
    present = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "ieee"
    try:
        with ExitStack() as stack:
            if torch.is_autocast_enabled(device.type):
                stack.enter_context(torch.autocast(device_type=device.type, enabled=False))
            if device.type == "cuda":
                stack.enter_context(torch.backends.cudnn.flags(enabled=not rigorous, allow_tf32=False))
            if rigorous:
                stack.enter_context(torch.backends.nnpack.flags(enabled=False))
            yield
    finally:
        for backend, precision in zip(backends, present):
            backend.fp32_precision = precision


def _backends(device: torch.device) -> tuple[Any, ...]:
    """What computes matrix products and convolutions of tensors on a device."""
    mkldnn: Any = torch.backends.mkldnn  # its stubs lack both
    on_host = mkldnn.matmul, mkldnn.conv
    return on_host if device.type == "cpu" else (*on_host, torch.backends.cuda.matmul)
