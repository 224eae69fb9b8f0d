"""Formulas with which libraries compute in one step what the graph expresses by several nodes.

Their rounding errors differ from those of the nodes. The `Formula` of a node bounds the error of a run that uses it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.ir.expressions import Environment, Expression
from autodual.ir.precision import Precision

#: Attention kernels go through a row in blocks of at least this many entries, and rescale their sums after each.
_BLOCK = 16
#: Roundings of one such rescaling: an exponential and a product.
_RESCALED = 20


def rescaling(count: int) -> int:
    """Roundings that rescaling adds to each of `count` terms of a softmax, in numerator and denominator."""
    return 2 * _RESCALED * (-(-count // _BLOCK) - 1)


@dataclass(frozen=True, eq=False)
class Formula(ABC):
    """Another formula for a node's value: from the nodes named `of`, rather than from its operands."""

    of: tuple[str, ...]

    @abstractmethod
    def off(self, sizes: Sequence[Tensor], environment: Environment, precision: Precision) -> Tensor:
        """Rounding error of this formula itself, `[N or 1, *shape]`.

        Args:
            sizes: the largest absolute values `[N, *shape]` of the nodes `of`.
            environment: evaluates parameters.
            precision: unit roundoff and range of the run.
        """


@dataclass(frozen=True, eq=False)
class OnePassVariance(Formula):
    """mean x² - (mean x)², or an updating formula (Welford), in place of the mean square of x - mean x.

    axes: axes of a sample over which the mean is taken; they keep extent 1. share: factor of the mean square.
    """

    axes: tuple[int, ...]
    share: float = 1.0

    def off(self, sizes: Sequence[Tensor], environment: Environment, precision: Precision) -> Tensor:
        """Each of the two means has an error of n roundings of mean x², and updates at most three times as much."""
        (x,) = sizes
        count = math.prod(x.shape[axis + 1] for axis in self.axes)
        summed = x.square().sum(tuple(axis + 1 for axis in self.axes), keepdim=True)
        error = 4 * self.share * precision.off(count, 8) * (summed / count) + 4 * count * precision.tiny
        return torch.where(summed < precision.largest / 4, error, torch.inf)


@dataclass(frozen=True, eq=False)
class ShiftedExponents(Formula):
    """The softmax of x + m along an axis, shifted by its maximum, in place of one with the weights eᵐ.

    mask: m, which may be minus infinity; None if there is no mask, or masked entries are left out.
    """

    axis: int
    mask: Expression | None = None

    def off(self, sizes: Sequence[Tensor], environment: Environment, precision: Precision) -> Tensor:
        """Exponents have rounding errors relative to their size, which cause errors relative to the entry; these are
        small where its mask is far below the largest.
        """
        (x,) = sizes
        axis, count = self.axis + 1, x.shape[self.axis + 1]
        size = x.amax(axis, keepdim=True)
        if self.mask is not None:
            size = size + self._masked(size, environment, axis - x.dim())
        blocks = precision.off(1, rescaling(count) + 4)
        return (2 * precision.off(1, 4) * size + blocks + 4 * count * precision.tiny).expand_as(x)

    def _masked(self, size: Tensor, environment: Environment, axis: int) -> Tensor:
        """What the mask adds to the size of exponents: Σ p|m| at most, since p ≤ e^(2·size - gap) below the largest."""
        assert self.mask is not None
        mask = environment(self.mask)
        if mask.dim() < -axis:
            return mask.abs()
        largest = mask.amax(axis, keepdim=True)
        gap = torch.where(mask.isinf(), 0.0, largest - mask)
        return largest.abs() + (gap * (2 * size - gap).clamp(max=0).exp()).sum(axis, keepdim=True)
