"""The rule of all smooth and piecewise linear functions of one scalar."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autodual.dual.curves.curve import Curve
from autodual.dual.curves.lines import tightest_pair, tightest_parallel
from autodual.dual.relaxation import LinearRelaxation
from autodual.dual.rule import RelaxationRule
from autodual.interval import Interval
from autodual.ir.expressions import Environment


class CurveRule(RelaxationRule):
    """Lines around a function that is given by its value, its slope and its inflections."""

    @abstractmethod
    def curve(self, op: Any) -> Curve:
        """The op's function."""

    def undecided(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        return ~self.curve(op).affine_over(bounds[0])

    def range(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Interval:
        return self.curve(op).range(bounds[0])

    def parallel(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        curve = self.curve(op)
        return _exact_where_affine(curve, bounds[0], tightest_parallel(curve, bounds[0]))

    def adaptive(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        curve = self.curve(op)
        return _exact_where_affine(curve, bounds[0], tightest_pair(curve, bounds[0]))


def _exact_where_affine(curve: Curve, bounds: Interval, found: LinearRelaxation) -> LinearRelaxation:
    """The curve's own line where it is affine, to the last digit the same over any bounds."""
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
