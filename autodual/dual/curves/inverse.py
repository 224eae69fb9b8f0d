"""Inverses of trigonometric and hyperbolic functions whose domain ends, where most have an infinite slope."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from autodual.dual.curves.curve import Curve
from autodual.dual.curves.partial import PartialCurveRule
from autodual.dual.execution import LIBRARY
from autodual.dual.registry import dual_rule
from autodual.interval import Interval
from autodual.ir import ops


def _steep(z: Tensor) -> Tensor:
    """1/√(1 - z²), as a product, of which more is left near the ends."""
    return ((1 - z) * (1 + z)).rsqrt()


class SymmetricRule(PartialCurveRule):
    """Of numbers between -1 and 1; bent one way below 0 and the other way above."""

    inside = 0.0
    accuracy = LIBRARY


@dual_rule(ops.Arcsin)
class ArcsinRule(SymmetricRule):
    """Concave up to 0, convex from there on; vertical at both ends."""

    def limits(self, op: Any) -> tuple[float, float]:
        return -math.pi / 2, math.pi / 2

    def curve(self, op: ops.Arcsin) -> Curve:
        return Curve(torch.asin, _steep, inflections=(0.0,), convex=False)

    def defined(self, op: Any, bounds: Interval) -> Tensor:
        return (bounds.lower >= -1) & (bounds.upper <= 1)


@dual_rule(ops.Arccos)
class ArccosRule(SymmetricRule):
    """Convex up to 0, concave from there on; vertical at both ends."""

    def limits(self, op: Any) -> tuple[float, float]:
        return 0.0, math.pi

    def curve(self, op: ops.Arccos) -> Curve:
        return Curve(torch.acos, lambda z: -_steep(z), inflections=(0.0,))

    def defined(self, op: Any, bounds: Interval) -> Tensor:
        return (bounds.lower >= -1) & (bounds.upper <= 1)


@dual_rule(ops.Arctanh)
class ArctanhRule(SymmetricRule):
    """Concave up to 0, convex from there on; infinite at both ends."""

    def curve(self, op: ops.Arctanh) -> Curve:
        return Curve(torch.atanh, lambda z: 1 / ((1 - z) * (1 + z)), inflections=(0.0,), convex=False)

    def defined(self, op: Any, bounds: Interval) -> Tensor:
        return (bounds.lower > -1) & (bounds.upper < 1)


@dual_rule(ops.Arccosh)
class ArccoshRule(PartialCurveRule):
    """Concave; vertical at 1."""

    inside = 2.0
    accuracy = LIBRARY

    def limits(self, op: Any) -> tuple[float, float]:
        return 0.0, math.inf

    def curve(self, op: ops.Arccosh) -> Curve:
        return Curve(torch.acosh, lambda z: (z - 1).rsqrt() * (z + 1).rsqrt(), convex=False)

    def defined(self, op: Any, bounds: Interval) -> Tensor:
        return (bounds.lower >= 1) & ~bounds.upper.isnan()
