"""The rule of products of branches (attention, gates, divisions, normalisations)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.registry import dual_rule
from autodual.dual.relaxation import LinearRelaxation
from autodual.dual.rule import ProductRule, RelaxationRule
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
        """On each side, of the two extreme planes the one with the better worst value; their mean where both tie."""
        x, y = bounds
        below = _better((x.lower, y.lower), (x.upper, y.upper), bounds, sign=1)
        above = _better((x.lower, y.upper), (x.upper, y.lower), bounds, sign=-1)
        return LinearRelaxation(below[0], above[0], below[1], above[1])


Corner = tuple[Tensor, Tensor]
Plane = tuple[tuple[Tensor, Tensor], Tensor]


def _better(first: Corner, second: Corner, bounds: Sequence[Interval], sign: int) -> Plane:
    """The plane through the corner whose worst value over the box is the better one."""
    worst = [_worst(_plane(corner), bounds, sign) for corner in (first, second)]
    # They tie wherever both inputs keep their signs; rounding must not decide between them.
    equal = 16 * torch.finfo(worst[0].dtype).eps * bounds[0].magnitude * bounds[1].magnitude
    tie = (worst[0] - worst[1]).abs() <= equal
    weight = torch.where(tie, 0.5, (worst[0] > worst[1]).to(worst[0].dtype)).detach()
    one, other = _plane(first), _plane(second)

    def mixed(a: Tensor, b: Tensor) -> Tensor:
        return weight * a + (1 - weight) * b

    return (mixed(one[0][0], other[0][0]), mixed(one[0][1], other[0][1])), mixed(one[1], other[1])


def _plane(corner: Corner) -> Plane:
    """b·x + a·y - ab for the corner (a, b)."""
    a, b = corner
    return (b, a), -a * b


def _worst(plane: Plane, bounds: Sequence[Interval], sign: int) -> Tensor:
    """The least value over the box of a plane below, or of the negative of a plane above."""
    slopes, intercept = plane
    value = sign * intercept
    for slope, bound in zip(slopes, bounds):
        value = value + torch.minimum(sign * slope * bound.lower, sign * slope * bound.upper)
    return value
