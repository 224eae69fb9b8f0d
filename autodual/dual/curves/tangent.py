"""The rule of the tangent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.curves.lines import tightest_pair, tightest_parallel
from autodual.dual.execution import LIBRARY, Executed, Run
from autodual.dual.registry import dual_rule
from autodual.dual.relaxation import LinearRelaxation
from autodual.dual.rule import RelaxationRule
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.ir.scalars import Curve

#: The branch around 0: concave up to it, convex from there on.
_BRANCH = Curve(torch.tan, lambda z: 1 + z.tan() ** 2, inflections=(0.0,), convex=False)


@dual_rule(ops.Tan)
class TanRule(RelaxationRule):
    """The branch that the interval lies on, seen from its middle kπ; nothing is known where a pole may lie between.

    kπ is rounded, and so is the distance from it. The lines therefore enclose the branch over an interval that is wider
    by what rounding may shift it, and make room for the same shift times their slope.
    """

    def hazard(self, op: ops.ElementwiseOp) -> str:
        return "a tangent may have its pole between the bounds"

    def executed(self, op: ops.ElementwiseOp, operands: Sequence[Executed], run: Run) -> Tensor:
        """The operand's error times the steepest slope, which is at one of the ends."""
        (z,) = operands
        values = self.range(op, [z.reached], run.environment)
        # A share of the slope makes room for what it is rounded by here.
        passed = (1 + 2.0**-7) * (1 + values.magnitude**2) * z.error
        return passed + LIBRARY * run.precision.unit * values.magnitude

    def undecided(self, op: ops.ElementwiseOp, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        (z,) = bounds
        return ~((z.lower == z.upper) & _Place(z).known)

    def range(self, op: ops.ElementwiseOp, bounds: Sequence[Interval], environment: Environment) -> Interval:
        known = _Place(bounds[0]).known
        return bounds[0].map(lambda end: torch.where(known, end.tan(), math.nan))

    def parallel(self, op: ops.ElementwiseOp, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        return _Place(bounds[0]).lines(shared=True)

    def adaptive(self, op: ops.ElementwiseOp, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        return _Place(bounds[0]).lines(shared=False)


class _Place:
    """Where bounds lie: the middle of their branch, what rounding may shift it by, and whether there is one branch."""

    def __init__(self, bounds: Interval):
        eps = torch.finfo(bounds.lower.dtype).eps
        middle = bounds.centre.detach()
        turns = (middle / math.pi).round()
        self.origin = turns * math.pi
        # Exact around 0 itself, where nothing is shifted.
        self.slack = torch.where(turns == 0, 0.0, 2 * eps * (self.origin.abs() + math.pi))
        near = bounds.map(lambda end: end - self.origin).widen(self.slack)
        end = math.pi / 2 * (1 - 2 * eps)
        self.known = (near.lower > -end) & (near.upper < end)
        self.near = near.map(lambda end: torch.where(self.known, end, 0.0))

    def lines(self, *, shared: bool) -> LinearRelaxation:
        found = tightest_parallel(_BRANCH, self.near) if shared else tightest_pair(_BRANCH, self.near)
        (low,), (high,) = found.lower_slopes, found.upper_slopes
        below = found.lower_intercept - low * self.origin - low.abs() * self.slack
        above = found.upper_intercept - high * self.origin + high.abs() * self.slack
        slopes = (low,)
        return LinearRelaxation(
            slopes,
            slopes if shared else (high,),
            torch.where(self.known, below, math.nan),
            torch.where(self.known, above, math.nan),
        )
