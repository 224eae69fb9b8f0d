"""The rule of step functions: their slope is zero, so the values at the bounds enclose them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.execution import Executed, Run
from autodual.dual.relaxation import LinearRelaxation
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.interval import Interval
from autodual.ir.expressions import Environment
from autodual.ir.scalars import StairOp


class StairRule(RelaxationRule):
    """Horizontal lines at the values that the non-decreasing function takes at the bounds."""

    exact = True

    def executed(self, op: StairOp, operands: Sequence[Executed], run: Run) -> Tensor:
        """The distance between the lowest and the highest step that a run may take."""
        (z,) = operands
        found = self.range(op, [z.reached], run.environment)
        return found.upper - found.lower

    def undecided(self, op: StairOp, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        found = self.range(op, bounds, environment)
        return ~(found.lower == found.upper)

    def range(self, op: StairOp, bounds: Sequence[Interval], environment: Environment) -> Interval:
        (z,) = bounds
        unknown = z.lower.isnan() | z.upper.isnan()
        return z.map(lambda end: torch.where(unknown, torch.full_like(end, math.nan), op.function(end)))

    def parallel(self, op: StairOp, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        ends = self.range(op, bounds, environment)
        slopes = (torch.zeros_like(ends.lower),)
        return LinearRelaxation(slopes, slopes, ends.lower, ends.upper)

    def adaptive(self, op: StairOp, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        return self.parallel(op, bounds, environment)
