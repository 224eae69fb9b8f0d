"""The linear functions to bound, several per sample. Their coefficients are made only a few rows at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor


class Functions(ABC):
    """S linear functions per sample of a node with K numbers, whose coefficients are made when they are needed."""

    @property
    @abstractmethod
    def count(self) -> int:
        """S, how many functions are to be bounded."""

    @property
    @abstractmethod
    def terms(self) -> int:
        """K, the number of coefficients of each."""

    @abstractmethod
    def piece(self, owner: Tensor | None, first: int, last: int) -> Tensor:
        """The coefficients of some functions, `[n or 1, last − first, K]`.

        Args:
            owner: the samples `[n]`, long, whose functions are asked for; None: all samples.
            first: the first function.
            last: the last function, excluded.
        """


class Objective(Functions):
    """Functions of outputs that a caller asks for, stored compactly: often far less than S · K numbers."""

    @abstractmethod
    def part(self, samples: slice | Tensor) -> Objective:
        """The functions of some of the samples.

        Args:
            samples: a slice, or indices, which may repeat.
        """

    @abstractmethod
    def to(self, like: Tensor) -> Objective:
        """The same functions in another dtype, on another device.

        Args:
            like: a tensor of that dtype on that device.
        """

    @property
    @abstractmethod
    def whole(self) -> Tensor:
        """The coefficients of all V values of `complete` at once: `[V, K]` or `[N, V, K]`."""

    @abstractmethod
    def values(self, outputs: Tensor) -> Tensor:
        """The functions' values, `[*, N, V]`.

        Args:
            outputs: `[*, N, K]`, flat outputs with any leading axes.
        """

    @abstractmethod
    def spread(self, sizes: Tensor) -> Tensor:
        """Σ |coefficient| · size of each value, `[N, V]`; sizes with the coefficient 0 do not count, even if infinite.

        Args:
            sizes: a size `[N, K]` of each output.
        """

    @abstractmethod
    def fits(self, dtype: torch.dtype) -> bool:
        """Whether no coefficient underflows or overflows in a dtype.

        Args:
            dtype: a floating dtype.
        """

    @abstractmethod
    def complete(self, bounds: Tensor) -> Tensor:
        """The bounds or errors of all V values, `[N, V]`: those of zero functions are exactly 0.

        Args:
            bounds: bounds or errors `[N, S]` of the functions.
        """


class LocalFunctions(Functions):
    """Functions of a node `[C, *positions]` that each read one position: `rows_each` per position, in order."""

    @property
    @abstractmethod
    def positions(self) -> tuple[int, ...] | None:
        """The extents of the axes after the first; None where functions are not local."""

    @property
    @abstractmethod
    def rows_each(self) -> int:
        """The number of functions at each position."""

    @abstractmethod
    def at(self, owner: Tensor, place: Tensor) -> Tensor:
        """The coefficients of the functions at some positions, `[G or 1, rows_each, C]`.

        Args:
            owner: the samples `[G]`, long.
            place: a flat position `[G]`, long, of each.
        """


class LocalObjective(LocalFunctions, Objective):
    """An objective whose functions each read one position."""


@dataclass(frozen=True, eq=False)
class DenseObjective(Objective):
    """Functions with given coefficients.

    Args:
        rows: `[S, K]` for all samples, or `[N, S, K]`.

    Example:
        >>> import torch
        >>> from autodual.objective import DenseObjective
        >>> difference = DenseObjective(torch.tensor([[1.0, -1.0]]))
        >>> difference.count, difference.values(torch.tensor([[3.0, 1.0], [0.0, 2.0]]))
        (1, tensor([[ 2.],
                [-2.]]))
    """

    rows: Tensor

    @property
    def count(self) -> int:
        return self.rows.shape[-2]

    @property
    def terms(self) -> int:
        return self.rows.shape[-1]

    def piece(self, owner: Tensor | None, first: int, last: int) -> Tensor:
        rows = self.rows[..., first:last, :]
        if rows.dim() == 2:
            return rows.unsqueeze(0)
        return rows if owner is None or rows.shape[0] == 1 else rows[owner]

    def part(self, samples: slice | Tensor) -> DenseObjective:
        return self if self.rows.dim() == 2 or self.rows.shape[0] == 1 else replace(self, rows=self.rows[samples])

    def to(self, like: Tensor) -> DenseObjective:
        rows = self.rows.to(dtype=like.dtype, device=like.device)
        return self if rows is self.rows else replace(self, rows=rows)

    @property
    def whole(self) -> Tensor:
        return self.rows

    def values(self, outputs: Tensor) -> Tensor:
        return (self.rows @ outputs.unsqueeze(-1)).squeeze(-1)

    def spread(self, sizes: Tensor) -> Tensor:
        rows = self.rows.abs()
        # Where a row does not read an output, 0 · infinity would be NaN.
        return torch.where(rows == 0, 0.0, rows * sizes.unsqueeze(1)).sum(-1)

    def fits(self, dtype: torch.dtype) -> bool:
        limits, size = torch.finfo(dtype), self.rows.abs()
        return not bool(((size > 0) & (size < limits.tiny) | (size > limits.max)).any())

    def complete(self, bounds: Tensor) -> Tensor:
        return torch.where((self.rows == 0).all(-1), torch.zeros_like(bounds), bounds)
