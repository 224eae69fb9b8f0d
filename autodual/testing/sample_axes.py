"""Shapes of samples, which may have no axes."""

from __future__ import annotations

from torch import Tensor


def flat(tensor: Tensor, leading: int) -> Tensor:
    """`[*leading, *shape]` as `[*leading, size]`, also if `shape` is empty."""
    return tensor.unsqueeze(-1).flatten(leading)
