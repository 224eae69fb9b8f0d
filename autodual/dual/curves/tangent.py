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
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.ir.scalars import Curve

#: The branch around 0: concave up to it, convex from there on.
_BRANCH = Curve(torch.tan, lambda z: 1 + z.tan() ** 2, inflections=(0.0,), convex=False)


@dual_rule(ops.Tan)
class TanRule(RelaxationRule):
    """Lines around the branch on which the interval lies, moved by its middle kπ; NaN where a pole may lie inside.

    kπ and the distance from it are rounded. So the lines enclose the branch over an interval widened by that error, and
    their intercepts allow for the error times the slope.
    """

    def hazard(self, op: ops.ElementwiseOp) -> str:
        return "a tangent may have its pole between the bounds"

    def executed(self, op: ops.ElementwiseOp, operands: Sequence[Executed], run: Run) -> Tensor:
        """The operand's error times the steepest slope, which is at one of the ends."""
        (z,) = operands
        values = self.range(op, [z.reached], run.environment)
        # The factor covers the rounding error of the slope computed here.
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
    """The branch of each interval: its middle, the rounding error of that, and where there is one (`known`)."""

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
