"""Execution errors: how far a floating-point run of the network may be from real arithmetic, op by op.

A rule bounds the error of its op's value for all operands of a run; the engine passes these errors through the graph
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
    """A node's values in real arithmetic over the set, and a bound of the error of a run, both `[N, *shape]`.

    Args:
        real: bounds of the values in real arithmetic.
        error: how far the value of a run may be from the real one; not negative, perhaps infinite.
        least: a lower bound of the values of every run, such as 0 for squares and sums of them.

    Example:
        >>> import torch
        >>> from autodual.dual import Executed
        >>> from autodual.interval import Interval
        >>> node = Executed(Interval(torch.tensor([[0.0]]), torch.tensor([[2.0]])), torch.tensor([[0.5]]), least=0.0)
        >>> node.reached.lower, node.reached.upper
        (tensor([[0.]]), tensor([[2.5000]]))
    """

    real: Interval
    error: Tensor
    least: float = -math.inf

    @cached_property
    def reached(self) -> Interval:
        """Bounds of the values of a run."""
        widened = self.real.widen(self.error)
        return Interval(widened.lower.clamp(min=self.least), widened.upper) if self.least > -math.inf else widened

    @cached_property
    def size(self) -> Tensor:
        """The largest absolute value, in real arithmetic or in a run."""
        return self.real.widen(self.error).magnitude


@dataclass(frozen=True, eq=False)
class Run:
    """A floating-point run of the network, for the rules that bound its errors.

    Args:
        environment: evaluates the network's constants exactly (in float64, rounded once).
        errors: evaluates how far the same constants of the run may be from those.
        precision: unit roundoff and range of the run's dtypes.
    """

    environment: Environment
    errors: ConstantErrors
    precision: Precision
