"""The rule of products of branches (attention, gates, divisions, normalisations)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.product_planes import best_tilt
from autodual.dual.product_rule import ProductRule
from autodual.dual.registry import dual_rule
from autodual.dual.relaxation import LinearRelaxation
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment


@dual_rule(ops.Multiply)
class MultiplyRule(ProductRule, RelaxationRule):
    """Planes around x·y over a box (McCormick, *Mathematical Programming* 10, 1976).

    (x - a)(y - b) ≥ 0 where (a, b) is the lowest or the highest corner of the box, so a·y + b·x - ab lies below x·y;
    all such planes, and all between two, enclose the same volume with it.
    """

    source = "McCormick 1976"

    def product(self, first: Tensor, second: Tensor) -> Tensor:
        return first * second

    def undecided(self, op: ops.Multiply, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        x, y = bounds
        unknown = (x.lower + x.upper + y.lower + y.upper).isnan()
        return unknown | ~((x.lower == x.upper) | (y.lower == y.upper))

    def range(self, op: ops.Multiply, bounds: Sequence[Interval], environment: Environment) -> Interval:
        x, y = bounds
        corners = torch.stack([a * b for a in (x.lower, x.upper) for b in (y.lower, y.upper)])
        return Interval(corners.amin(0), corners.amax(0))

    def parallel(self, op: ops.Multiply, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        """With the centres p and q: x·y = q·x + p·y - pq + (x - p)(y - q), whose last term is at most the radii's
        product.
        """
        x, y = bounds
        slopes = (y.centre, x.centre)
        centre, height = -x.centre * y.centre, x.radius * y.radius
        return LinearRelaxation(slopes, slopes, centre - height, centre + height)

    def adaptive(self, op: ops.Multiply, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        """On each side the plane with the best worst value."""
        x, y = bounds
        p, r, q, s = x.centre, x.radius, y.centre, y.radius
        low, high = best_tilt(p, r, q, s), best_tilt(p, r, -q, s)  # x·y ≤ -(a plane below x·(-y))
        return LinearRelaxation(
            (q + low * s, p + low * r),
            (q - high * s, p + high * r),
            -(p * q + r * s + low * (p * s + r * q)),
            -p * q + r * s + high * (p * s - r * q),
        )
