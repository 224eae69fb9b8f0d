"""The linear functions to bound, several per sample. Their coefficients are made only a few rows at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor


class Objective(ABC):
    """S linear functions per sample of outputs with K numbers, stored compactly: often far less than S · K numbers."""

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
        """Coefficients `[n or 1, last − first, K]` of functions first to last of the samples owner `[n]`; None: all."""

    @abstractmethod
    def part(self, samples: slice | Tensor) -> Objective:
        """The functions of some of the samples, by a slice or by indices, which may repeat."""

    @abstractmethod
    def to(self, like: Tensor) -> Objective:
        """The same in the dtype and on the device of a tensor."""

    @property
    @abstractmethod
    def whole(self) -> Tensor:
        """The coefficients of all V values of `complete` at once: `[V, K]` or `[N, V, K]`."""

    @abstractmethod
    def values(self, outputs: Tensor) -> Tensor:
        """The functions' values `[*, N, V]` at outputs `[*, N, K]`."""

    @abstractmethod
    def spread(self, sizes: Tensor) -> Tensor:
        """Σ |coefficient| · size of each value `[N, V]`, for sizes `[N, K]`; those with coefficient 0 do not count."""

    @abstractmethod
    def fits(self, dtype: torch.dtype) -> bool:
        """Whether no coefficient underflows or overflows in a dtype."""

    @abstractmethod
    def complete(self, bounds: Tensor) -> Tensor:
        """From bounds or errors `[N, S]` to those of all V values `[N, V]`: those of a zero function are exactly 0."""


class LocalObjective(Objective):
    """Functions of outputs `[C, *positions]` that each read one position: `rows_each` per position, in order."""

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
        """Coefficients `[G, rows_each, C]` at the flat positions place `[G]` of the samples owner `[G]`."""


@dataclass(frozen=True, eq=False)
class DenseObjective(Objective):
    """Functions whose coefficients are given: rows `[S, K]` for all samples, or `[N, S, K]`."""

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
        return replace(self, rows=self.rows.to(dtype=like.dtype, device=like.device))

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
