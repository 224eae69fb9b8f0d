"""How far a run of the network in floating point may be from real arithmetic, told op by op: what rules say of it.

A rule states what its op adds when it is run, over all operands that a run may meet; the engine hands these errors on
(`autodual/bounds/engine/executed_error.py`). Sums may be taken in any order. See `docs/mathematics.md`, "Execution".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.ir.constant_errors import ConstantErrors
from autodual.ir.expressions import Environment
from autodual.ir.scalars import LIBRARY

__all__ = ["LIBRARY", "Executed", "Precision", "Run"]


@dataclass(frozen=True)
class Precision:
    """A floating dtype in which a network is run: unit roundoff, smallest normal and largest number."""

    unit: float
    tiny: float
    largest: float

    @classmethod
    def of(cls, dtype: torch.dtype) -> Precision:
        limits = torch.finfo(dtype)
        return cls(limits.eps / 2, limits.tiny, limits.max)

    def gamma(self, roundings: int) -> float:
        """n·u/(1 - n·u), by which n roundings change a number at most; infinite where that says nothing."""
        total = roundings * self.unit
        return total / (1 - total) if total < 0.5 else float("inf")


@dataclass(frozen=True, eq=False)
class Executed:
    """A node: what its real values are over the set, and how far a run's may be from them, both `[N, *shape]`."""

    real: Interval
    error: Tensor

    @cached_property
    def reached(self) -> Interval:
        """What a run's values are within."""
        return self.real.widen(self.error)

    @cached_property
    def size(self) -> Tensor:
        """The largest absolute value of either."""
        return self.reached.magnitude


@dataclass(frozen=True, eq=False)
class Run:
    """The network's constants as they are, what a run's differ from them by at most, and the precision of the run."""

    environment: Environment
    errors: ConstantErrors
    precision: Precision
