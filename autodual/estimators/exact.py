"""Exact norms, in the form of estimators: the columns are those of the identity matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from autodual.estimators.base import AdditiveEstimator
from autodual.estimators.random_streams import Stream


class _Exact(AdditiveEstimator):
    """`rows` is the number of coordinates: each has a column of its own."""

    def columns(
        self, stream: Stream, shape: Sequence[int], offset: int, first: int, count: int, like: Tensor
    ) -> Tensor:
        size = torch.Size(shape).numel()
        columns = torch.zeros(count, size, dtype=like.dtype, device=like.device)
        columns.diagonal(offset=first - offset).fill_(1) if -count < first - offset < size else None
        return columns.reshape(count, *shape)

    def inflation(self, failure: float) -> float:
        return 1.0


class ExactL1(_Exact):
    """The sum of absolute values.

    Example:
        >>> import torch
        >>> from autodual.estimators import ExactL1
        >>> ExactL1(rows=2).norm(torch.tensor([[3.0], [-4.0]]))
        tensor([7.])
    """

    order: ClassVar[int] = 1

    def term(self, products: Tensor) -> Tensor:
        return products.abs()

    def from_total(self, total: Tensor) -> Tensor:
        return total


class ExactL2(_Exact):
    """The root of the sum of squares.

    Example:
        >>> import torch
        >>> from autodual.estimators import ExactL2
        >>> ExactL2(rows=2).norm(torch.tensor([[3.0], [-4.0]]))
        tensor([5.])
    """

    order: ClassVar[int] = 2

    def term(self, products: Tensor) -> Tensor:
        return products.square()

    def from_total(self, total: Tensor) -> Tensor:
        return root(total)


def root(square: Tensor) -> Tensor:
    """√`square`, elementwise, with a finite derivative at zero."""
    return torch.where(square == 0, square, torch.where(square == 0, 1, square).sqrt())
