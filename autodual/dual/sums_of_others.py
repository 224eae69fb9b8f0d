"""Sums of all other entries along an axis."""

from __future__ import annotations

import torch
from torch import Tensor


def others(values: Tensor, axis: int) -> Tensor:
    """The sum of all other entries along an axis, without differences, which would lose the digits of small ones.

    Args:
        values: of any shape.
        axis: not negative.

    Example:
        >>> import torch
        >>> from autodual.dual.sums_of_others import others
        >>> others(torch.tensor([1.0, 2.0, 4.0]), 0)
        tensor([6., 5., 3.])
    """
    none = torch.zeros_like(values.narrow(axis, 0, 1))
    count = values.shape[axis]
    before = torch.cat([none, values.narrow(axis, 0, count - 1).cumsum(axis)], axis)
    after = torch.cat([none, values.flip(axis).narrow(axis, 0, count - 1).cumsum(axis)], axis).flip(axis)
    return before + after
