"""Curves that are defined on part of the real line: logarithms and powers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autodual.dual.curves.curve import Curve
from autodual.dual.curves.partial import PartialCurveRule
from autodual.dual.execution import LIBRARY, Executed, Run
from autodual.dual.registry import dual_rule
from autodual.interval import Interval
from autodual.ir import ops


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

    def executed(self, op: ops.Power, operands: Sequence[Executed], run: Run) -> Tensor | None:
        """A run may multiply as often as a whole exponent says. Of another it may have the nearest number, and of a
        value v then v^(1 + δ), which is off by v·log v·δ to first order.
        """
        found = super().executed(op, operands, run)
        assert found is not None
        size, unit = self.range(op, [operands[0].reached], run.environment).magnitude, run.precision.unit
        if float(op.exponent).is_integer():
            return found + max(abs(op.exponent) - LIBRARY, 0) * unit * size
        held = (math.frexp(op.exponent)[0] / unit).is_integer()
        return found if held else found + 2 * unit * torch.xlogy(size, size).abs()

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
