"""Axes of samples, of which there may be none."""

from __future__ import annotations

from torch import Tensor


def flat(tensor: Tensor, leading: int) -> Tensor:
    """`[*leading, *shape]` as `[*leading, size]`, where a sample may also be one number, without axes."""
    return tensor.unsqueeze(-1).flatten(leading)
