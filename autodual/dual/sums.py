"""Sums of some entries along an axis, without differences, which would lose the digits of small ones."""

from __future__ import annotations

import torch
from torch import Tensor


def sums_before(values: Tensor, axis: int) -> Tensor:
    """For each entry along an axis the sum of those before it.

    Args:
        values: of any shape.
        axis: not negative.

    Example:
        >>> import torch
        >>> from autodual.dual.sums import sums_before
        >>> sums_before(torch.tensor([1.0, 2.0, 4.0]), 0)
        tensor([0., 1., 3.])
    """
    none = torch.zeros_like(values.narrow(axis, 0, 1))
    return torch.cat([none, values.narrow(axis, 0, values.shape[axis] - 1).cumsum(axis)], axis)


def others(values: Tensor, axis: int) -> Tensor:
    """For each entry along an axis the sum of all others.

    Args:
        values: of any shape.
        axis: not negative.

    Example:
        >>> import torch
        >>> from autodual.dual.sums import others
        >>> others(torch.tensor([1.0, 2.0, 4.0]), 0)
        tensor([6., 5., 3.])
    """
    return sums_before(values, axis) + sums_before(values.flip(axis), axis).flip(axis)
