"""Formulas by which libraries compute in one go what the graph expresses by several nodes.

Their rounding errors differ from those of the nodes. A node that has a `Formula` says by how much a run may be off that
takes this one instead.
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

#: Kernels of attention go through a row in blocks of at least so many entries, and after each rescale what they have.
_BLOCK = 16
#: Roundings of a factor by which they do: an exponential and a product.
_RESCALED = 20


def rescaling(count: int) -> int:
    """Roundings that a softmax of so many terms adds to each where a kernel goes through them block by block: those of
    its numerator and of its denominator.
    """
    return 2 * _RESCALED * (-(-count // _BLOCK) - 1)


@dataclass(frozen=True, eq=False)
class Formula(ABC):
    """Another way to a node's value: from the nodes named `of`, rather than from its operands."""

    of: tuple[str, ...]

    @abstractmethod
    def off(self, sizes: Sequence[Tensor], environment: Environment, precision: Precision) -> Tensor:
        """What a run by this formula is off by on its own account, `[N or 1, *shape]`; sizes: of the nodes it is of."""


@dataclass(frozen=True, eq=False)
class OnePassVariance(Formula):
    """mean x² - (mean x)², or an updating formula (Welford), in place of the mean square of x - mean x.

    axes: of a sample, over which the mean goes; they stay. share: what the mean square is multiplied with.
    """

    axes: tuple[int, ...]
    share: float = 1.0

    def off(self, sizes: Sequence[Tensor], environment: Environment, precision: Precision) -> Tensor:
        """Each of the two means is off by n roundings of mean x², and so is a sum of updates, up to a factor of 3."""
        (x,) = sizes
        count = math.prod(x.shape[axis + 1] for axis in self.axes)
        summed = x.square().sum(tuple(axis + 1 for axis in self.axes), keepdim=True)
        error = 4 * self.share * precision.off(count, 8) * (summed / count) + 4 * count * precision.tiny
        return torch.where(summed < precision.largest / 4, error, torch.inf)


@dataclass(frozen=True, eq=False)
class ShiftedExponents(Formula):
    """The softmax of x + m along an axis, shifted by its maximum, in place of one with the weights eᵐ.

    mask: m, which may be minus infinity; None where entries are left out altogether, or stay as they are.
    """

    axis: int
    mask: Expression | None = None

    def off(self, sizes: Sequence[Tensor], environment: Environment, precision: Precision) -> Tensor:
        """Exponents are off by roundings of their size; what that changes of an entry is relative to the entry, which
        is small where its mask is far below the largest.
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
