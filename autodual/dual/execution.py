"""How far a run of the network in floating point may be from real arithmetic, told op by op: what rules say of it.

A rule states what its op adds when it is run, over all operands that a run may meet; the engine hands these errors on
(`autodual/bounds/engine/executed_error.py`). Sums may be taken in any order. See `docs/mathematics.md`, "Execution".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from autodual.interval import Interval
from autodual.ir.constant_errors import ConstantErrors
from autodual.ir.expressions import Environment
from autodual.ir.precision import Precision
from autodual.ir.scalars import LIBRARY

__all__ = ["LIBRARY", "Executed", "Precision", "Run"]


@dataclass(frozen=True, eq=False)
class Executed:
    """A node: what its real values are over the set, and how far a run's may be from them, both `[N, *shape]`.

    least: what no number in any run is below, such as 0 for squares and sums of them.
    """

    real: Interval
    error: Tensor
    least: float = -math.inf

    @cached_property
    def reached(self) -> Interval:
        """What a run's values are within."""
        widened = self.real.widen(self.error)
        return Interval(widened.lower.clamp(min=self.least), widened.upper) if self.least > -math.inf else widened

    @cached_property
    def size(self) -> Tensor:
        """The largest absolute value of either."""
        return self.real.widen(self.error).magnitude


@dataclass(frozen=True, eq=False)
class Run:
    """The network's constants as they are, what a run's differ from them by at most, and the precision of the run."""

    environment: Environment
    errors: ConstantErrors
    precision: Precision
