"""Checks of the sizes, strides and offsets that files claim for tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_MOST_AXES = 64
_LARGEST = 2**63 - 1


def is_extent(value: Any) -> bool:
    """Whether a value is an integer that PyTorch accepts as a size, a stride or an offset."""
    return type(value) is int and 0 <= value <= _LARGEST


def is_view(sizes: Sequence[Any], strides: Sequence[Any], offset: Any, numel: int) -> bool:
    """Whether a tensor of these sizes, strides and offset lies within a storage of `numel` numbers."""
    if not len(sizes) == len(strides) <= _MOST_AXES or not all(map(is_extent, (*sizes, *strides, offset))):
        return False
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    return 0 in sizes or last < numel
