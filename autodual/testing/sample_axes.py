"""Shapes of samples, which may have no axes."""

from __future__ import annotations

from torch import Tensor


def flat(tensor: Tensor, leading: int) -> Tensor:
    """A `tensor` `[*axes, *shape]` with so many `leading` axes as `[*axes, size]`, also if the shape is empty."""
    return tensor.unsqueeze(-1).flatten(leading)
