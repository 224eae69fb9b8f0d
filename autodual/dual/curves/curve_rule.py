"""The rule of all smooth and piecewise linear functions of one scalar."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from autodual.dual.curves.lines import tightest_pair, tightest_parallel
from autodual.dual.execution import Executed, Run
from autodual.dual.relaxation import LinearRelaxation
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.interval import Interval
from autodual.ir.expressions import Environment
from autodual.ir.scalars import Accuracy, Curve

# Relative amount by which a computed slope may be too small.
_MARGIN = 2.0**-7


class CurveRule(RelaxationRule):
    """Lines around a function that is given by its value, its slope and its inflections."""

    @abstractmethod
    def curve(self, op: Any) -> Curve:
        """The function of `op`, with its slope, inflections and so on."""

    #: Error of running the op, in unit roundoffs of its value's size; if `of_operand`, of its operand's size too, for
    #: ops that add to the operand and subtract again inside. None: not known.
    accuracy: int | None = None
    of_operand: bool = False

    def intermediate(self, op: Any) -> float:
        """Size of numbers that a run of `op` may add and subtract again inside, whatever its operand."""
        return 0.0

    def measured(self, op: Any) -> Accuracy | None:
        """The accuracy of a run of `op`; None: not known."""
        return None if self.accuracy is None else Accuracy(self.accuracy, self.of_operand, self.intermediate(op))

    def limits(self, op: Any) -> tuple[float, float]:
        return self.curve(op).limits

    def executed(self, op: Any, operands: Sequence[Executed], run: Run) -> Tensor | None:
        """The operand's error times the steepest slope, at most the width of the range, plus the op's own error."""
        accuracy = self.measured(op)
        if accuracy is None:
            return None
        (z,) = operands
        values, steepest = self.range(op, [z.reached], run.environment), self.curve(op).steepest(z.reached)
        # Relative rounding error of the slopes and values computed here.
        slack = 16 * torch.finfo(z.error.dtype).eps
        passed = ((1 + _MARGIN) * steepest + slack) * z.error
        passed = passed.minimum(values.upper - values.lower + slack * values.magnitude).masked_fill(z.error == 0, 0.0)
        size = values.magnitude + steepest.clamp(min=1) * z.size if accuracy.of_operand else values.magnitude
        return passed + accuracy.roundings * run.precision.unit * (size + accuracy.intermediate)

    def steepness(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        steepest = self.curve(op).steepest(bounds[0])
        slack = 16 * torch.finfo(steepest.dtype).eps
        return ((1 + _MARGIN) * steepest + slack).flatten(1).amax(1)

    def hazard(self, op: Any) -> str:
        return f"the operand of '{op.kind}' may leave its domain" if self.curve(op).domain else ""

    def undecided(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        curve = self.curve(op)
        known = curve.affine_over(bounds[0])
        return ~(known & curve.defined(bounds[0])) if curve.domain else ~known

    def range(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Interval:
        return self.curve(op).range(bounds[0])

    def parallel(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        return _lines(self.curve(op), bounds[0], tightest_parallel)

    def adaptive(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        return _lines(self.curve(op), bounds[0], tightest_pair)


def _lines(curve: Curve, bounds: Interval, tightest: Callable[[Curve, Interval], LinearRelaxation]) -> LinearRelaxation:
    """The tightest lines, NaN where bounds leave the curve's domain."""
    within = curve.within(bounds)
    found = _exact_where_affine(curve, within, tightest(curve, within))
    if not curve.domain:
        return found
    low, high = (curve.only_defined(part, bounds) for part in (found.lower_intercept, found.upper_intercept))
    return replace(found, lower_intercept=low, upper_intercept=high)


def _exact_where_affine(curve: Curve, bounds: Interval, found: LinearRelaxation) -> LinearRelaxation:
    """The lines, replaced by the curve itself where it is affine: to the last digit the same over any bounds."""
    known, middle = curve.affine_over(bounds), bounds.centre
    slope = torch.where(known, curve.slope(middle), torch.zeros_like(middle))
    slope = torch.where(slope.isinf(), torch.zeros_like(slope), slope)
    intercept = curve.value(middle) - slope * middle
    low = (torch.where(known, slope, found.lower_slopes[0]),)
    high = low if found.parallel else (torch.where(known, slope, found.upper_slopes[0]),)
    return LinearRelaxation(
        low,
        high,
        torch.where(known, intercept, found.lower_intercept),
        torch.where(known, intercept, found.upper_intercept),
    )
