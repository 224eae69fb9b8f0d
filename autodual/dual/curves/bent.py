"""Curves of activations that consist of straight and exponential stretches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.curves.curve import Curve
from autodual.dual.curves.rule import CurveRule
from autodual.dual.execution import LIBRARY, Executed, Run
from autodual.dual.registry import dual_rule
from autodual.ir import ops

_INFINITY = math.inf


def _between(z: Tensor, start: float, end: float) -> Tensor:
    """1 where start < z < end, else 0."""
    return ((z > start) & (z < end)).to(z.dtype)


@dual_rule(ops.Clamp)
class ClampRule(CurveRule):
    """Hardtanh (Corollary 6, corrected), ReLU6, clip: convex at the lower end, concave at the upper."""

    source = "Corollary 6, corrected"
    accuracy = 0

    def limits(self, op: ops.Clamp) -> tuple[float, float]:
        low, high = (math.copysign(_INFINITY, sign) if end is None else end for sign, end in self._ends(op))
        return min(low, high), high

    def executed(self, op: ops.Clamp, operands: Sequence[Executed], run: Run) -> Tensor | None:
        """A run has the ends rounded to its precision."""
        found = super().executed(op, operands, run)
        ends = [abs(end) for _, end in self._ends(op) if end is not None]
        return None if found is None else found + run.precision.unit * max(ends, default=0.0)

    def _ends(self, op: ops.Clamp) -> tuple[tuple[int, float | None], ...]:
        return (-1, op.lower), (1, op.upper)

    def curve(self, op: ops.Clamp) -> Curve:
        low = -_INFINITY if op.lower is None else op.lower
        high = _INFINITY if op.upper is None else op.upper
        if low >= high:  # torch takes the upper end for everything
            return Curve(op.function, torch.zeros_like, straight=((-_INFINITY, _INFINITY),))
        middle = (low + high) / 2
        both = math.isfinite(middle)
        return Curve(
            op.function,
            lambda z: _between(z, low, high),
            inflections=(middle,) if both else (),
            convex=both or math.isinf(high),
            knots=tuple(end for end in (low, high) if math.isfinite(end)),
            straight=((-_INFINITY, low), (low, high), (high, _INFINITY)),
        )


@dual_rule(ops.HardSwish)
class HardSwishRule(CurveRule):
    """Concave at -3, convex up to 3, concave there."""

    accuracy = LIBRARY
    of_operand = True

    def curve(self, op: ops.HardSwish) -> Curve:
        return Curve(
            op.function,
            lambda z: torch.where(z >= 3, torch.ones_like(z), _between(z, -3, 3) * (2 * z + 3) / 6),
            inflections=(-3.0, 3.0),
            convex=False,
            knots=(-3.0, 3.0),
            turning=(-1.5,),
            straight=((-_INFINITY, -3.0), (3.0, _INFINITY)),
        )


@dual_rule(ops.Softshrink)
class SoftshrinkRule(CurveRule):
    """Concave at -width, convex at width."""

    accuracy = LIBRARY
    of_operand = True

    def curve(self, op: ops.Softshrink) -> Curve:
        width = op.width
        return Curve(
            op.function,
            lambda z: 1 - _between(z, -width, width),
            inflections=(0.0,),
            convex=False,
            knots=(-width, width),
            straight=((-_INFINITY, -width), (-width, width), (width, _INFINITY)),
        )


@dual_rule(ops.Elu)
class EluRule(CurveRule):
    """ELU, SELU, CELU: an exponential up to 0, where the slope may jump either way, and a straight line after it."""

    accuracy = LIBRARY
    of_operand = True

    def intermediate(self, op: ops.Elu) -> float:
        """Where e^x - 1 is computed as it is written."""
        return abs(op.scale * op.alpha)

    def curve(self, op: ops.Elu) -> Curve:
        steepness = op.scale * op.alpha * op.input_scale
        exponential_convex = steepness * op.input_scale >= 0
        corner_convex = op.scale >= steepness
        if steepness == 0:
            exponential_convex = corner_convex
        inflections = () if exponential_convex == corner_convex else (0.0,)

        def derivative(z: Tensor) -> Tensor:
            negative = steepness * torch.exp(z.clamp(max=0) * op.input_scale)
            return torch.where(z >= 0, torch.full_like(z, op.scale), negative)

        return Curve(
            op.function,
            derivative,
            inflections=inflections,
            convex=exponential_convex,
            knots=(0.0,),
            straight=((0.0, _INFINITY),),
        )
