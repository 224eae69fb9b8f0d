"""Memory that a call frees stays with the process, for the next tensors."""

from __future__ import annotations

from functools import lru_cache

import torch

# The largest block after which glibc raises its thresholds (32 MiB, with room for its own header).
_LARGEST = (32 << 20) - (8 << 10)


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Let the C library keep freed memory, up to 64 MiB, rather than give it back to the system.

    It gives back what is more than twice the largest block that it has ever had to free, so a single large block is
    asked for and freed, whose memory is never touched. Without that, tensors of a few MiB cost a page fault for every 4
    KiB, again at each operation: a quarter of the time of a call on a small convolutional network.
    """
    torch.empty(_LARGEST, dtype=torch.uint8, device="cpu")  # not where tensors are made by default
