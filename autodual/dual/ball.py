"""Euclidean balls that hold a node's values, and ops as pieces on which lines are tight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.dual.relaxation import LinearRelaxation
from autodual.interval import Interval


@dataclass(frozen=True, eq=False)
class Ball:
    """All values of a node are at most `radius` from `centre`, in the Euclidean norm of a sample.

    Args:
        centre: `[N or 1, *shape]`, inside the node's interval.
        radius: `[N or 1]`, rounded up, of any precision; infinite or NaN where nothing is known.

    Example:
        >>> import torch
        >>> from autodual.dual import Ball
        >>> Ball(torch.zeros(1, 3), torch.ones(1)).radius
        tensor([1.])
    """

    centre: Tensor
    radius: Tensor

    def as_precise_as(self, dtype: torch.dtype) -> Tensor:
        """The radius in a `dtype`, not rounded down."""
        return (self.radius * (1 + 4 * torch.finfo(dtype).eps)).to(dtype)


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of an op's operand, and lines that enclose the op there.

    Args:
        bounds: the stretch, `[N, *shape]`; it may be a single point.
        lines: over the stretch.

    Example:
        >>> import torch
        >>> from autodual.dual import LinearRelaxation, Piece
        >>> from autodual.interval import Interval
        >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
        >>> right = Piece(Interval(zero, one), LinearRelaxation((one,), (one,), zero, zero))  # of a ReLU over [-1, 1]
        >>> right.lines.range([right.bounds]).upper
        tensor([[1.]])
    """

    bounds: Interval
    lines: LinearRelaxation


def stretches(bounds: Interval, cuts: Sequence[Tensor]) -> Iterator[Interval]:
    """`bounds` cut at points `cuts`, each `[N, *shape]` in increasing order; those outside leave single points."""
    low = bounds.lower
    for cut in cuts:
        high = cut.maximum(low).minimum(bounds.upper)
        yield Interval(low, high)
        low = high
    yield Interval(low, bounds.upper)
