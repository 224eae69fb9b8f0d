"""Curves that are defined on part of the real line: logarithms and powers."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autodual.dual.curves.curve import Curve
from autodual.dual.curves.rule import CurveRule
from autodual.dual.execution import LIBRARY
from autodual.dual.registry import dual_rule
from autodual.dual.relaxation import LinearRelaxation
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment


class PartialCurveRule(CurveRule):
    """A function with a domain: where bounds leave it, nothing is known, and no number comes out."""

    @abstractmethod
    def defined(self, op: Any, bounds: Interval) -> Tensor:
        """Where the whole interval is within the domain."""

    def range(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Interval:
        within, known = self._within(op, bounds[0])
        found = super().range(op, [within], environment)
        return found.map(lambda end: _or_nan(known, end))

    def parallel(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        within, known = self._within(op, bounds[0])
        return _only(known, super().parallel(op, [within], environment))

    def adaptive(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        within, known = self._within(op, bounds[0])
        return _only(known, super().adaptive(op, [within], environment))

    def undecided(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        return super().undecided(op, bounds, environment) | ~self.defined(op, bounds[0])

    def _within(self, op: Any, bounds: Interval) -> tuple[Interval, Tensor]:
        """Bounds that are within the domain, a harmless stand-in for the others, and which ones they are."""
        known = self.defined(op, bounds)
        return bounds.map(lambda end: torch.where(known, end, torch.ones_like(end))), known


def _or_nan(known: Tensor, value: Tensor) -> Tensor:
    return torch.where(known, value, torch.full_like(value, math.nan))


def _only(known: Tensor, found: LinearRelaxation) -> LinearRelaxation:
    low, high = (_or_nan(known, part) for part in (found.lower_intercept, found.upper_intercept))
    return LinearRelaxation(found.lower_slopes, found.upper_slopes, low, high)


@dual_rule(ops.Log)
class LogRule(PartialCurveRule):
    """Concave on x > 0."""

    accuracy = LIBRARY

    def curve(self, op: ops.Log) -> Curve:
        return Curve(torch.log, torch.reciprocal, convex=False)

    def defined(self, op: Any, bounds: Interval) -> Tensor:
        return bounds.lower > 0


@dual_rule(ops.Power)
class PowerRule(PartialCurveRule):
    """Powers: convex or concave on each side of zero, by the exponent."""

    accuracy = LIBRARY

    def limits(self, op: ops.Power) -> tuple[float, float]:
        odd = float(op.exponent).is_integer() and op.exponent % 2 == 1
        return (-math.inf, math.inf) if odd else (0.0, math.inf)

    def curve(self, op: ops.Power) -> Curve:
        p = op.exponent
        if p == 0 or p == 1:
            return Curve(op.function, lambda z: torch.full_like(z, p), straight=((-math.inf, math.inf),))
        whole = float(p).is_integer()
        odd = whole and p % 2 == 1

        def slope(z: Tensor) -> Tensor:
            return p * (z.pow(int(p) - 1) if whole else z.pow(p - 1))

        return Curve(
            op.function,
            slope,
            inflections=(0.0,) if odd else (),
            convex=not odd and not 0 < p < 1,
            turning=(0.0,) if whole and p > 0 and not odd else (),
        )

    def defined(self, op: Any, bounds: Interval) -> Tensor:
        p = op.exponent
        whole = float(p).is_integer()
        if whole and p >= 0:
            return ~(bounds.lower.isnan() | bounds.upper.isnan())
        if whole:
            return (bounds.lower > 0) | (bounds.upper < 0)
        return bounds.lower >= 0 if p > 0 else bounds.lower > 0
