"""The rule of matrix products of two branches, the heart of attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.layer import Contribution, DualLayer
from autodual.dual.matrix_planes import RowPlanesLayer
from autodual.dual.product_rule import ProductRule
from autodual.dual.registry import dual_rule
from autodual.dual.row_products import inner
from autodual.dual.rows import Rows
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.policies import SlopePolicy


class MatrixProductLayer(DualLayer):
    """With the centres P and Q: XY = PY + XQ - PQ + (X - P)(Y - Q), the last at most the product of the radii.

    These are the parallel planes around each product of two scalars (see `MultiplyRule`), which enclose no more volume
    than any others; summed, they need matrix products only, and never the array of all single products.
    """

    per_sample = True

    def __init__(self, first: Interval, second: Interval):
        self.first, self.second = first, second
        self.left, self.right = first.centre, second.centre
        self.height = first.radius @ second.radius

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        values = rows.values
        left, right = rows.features(self.left), rows.features(self.right)
        return (
            rows.with_values(values @ right.transpose(-1, -2), shape=tuple(self.left.shape[1:])),
            rows.with_values(left.transpose(-1, -2) @ values, shape=tuple(self.right.shape[1:])),
        )

    def objective(self, rows: Rows) -> Contribution:
        return Contribution(
            centre=inner(rows, -(self.left @ self.right)), width=inner(rows, self.height, absolute=True)
        )

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        first, second = inputs
        centre = self.left @ second.centre + first.centre @ self.right - self.left @ self.right
        return Interval.around(centre, self.left.abs() @ second.radius + first.radius @ self.right.abs() + self.height)

    def push(self, columns: Sequence[Tensor | None]) -> Tensor:
        first, second = columns
        moved = [] if first is None else [first @ self.right]
        moved += [] if second is None else [self.left @ second]
        return moved[0] if len(moved) == 1 else moved[0] + moved[1]

    def constant(self, inputs: Sequence[Tensor]) -> Tensor:
        first, second = inputs
        return first @ self.right + self.left @ second - self.left @ self.right

    def for_owners(self, owner: Tensor) -> MatrixProductLayer:
        own = [side.map(lambda end: end[owner] if end.shape[0] > 1 else end) for side in (self.first, self.second)]
        return MatrixProductLayer(*own)

    def spread(self) -> Tensor:
        return self.height

    @property
    def terms(self) -> int:
        return 4 * max(self.left[0].numel(), self.right[0].numel(), self.height[0].numel())

    @property
    def multiplications(self) -> int:
        return 2 * self.height[0].numel() * self.left.shape[-1]


@dual_rule(ops.MatrixProduct)
class MatrixProductRule(ProductRule):
    """Parallel planes around every product of two scalars (McCormick, *Mathematical Programming* 10, 1976)."""

    source = "McCormick 1976"

    def product(self, first: Tensor, second: Tensor) -> Tensor:
        return first @ second

    def reads(self, shapes: Sequence[Sequence[int]]) -> int:
        return shapes[0][-1]

    def undecided(
        self, op: ops.MatrixProduct, bounds: Sequence[Interval], environment: Environment
    ) -> tuple[Tensor, Tensor]:
        """Scalars that vary and are multiplied by others that vary."""
        first, second = (~(side.lower == side.upper) for side in bounds)
        met_first, met_second = second.any(-1).unsqueeze(-2), first.any(-2).unsqueeze(-1)
        unknown = [(side.lower + side.upper).isnan() for side in bounds]
        return unknown[0] | (first & met_first), unknown[1] | (second & met_second)

    def range(self, op: ops.MatrixProduct, bounds: Sequence[Interval], environment: Environment) -> Interval:
        """Sums of the least and of the greatest product of each pair of scalars."""
        first, second = bounds
        corners = torch.stack([_outer(a, b) for a in (first.lower, first.upper) for b in (second.lower, second.upper)])
        return Interval(corners.amin(0).sum(-2), corners.amax(0).sum(-2))

    def layer(
        self, op: ops.MatrixProduct, bounds: Sequence[Interval], environment: Environment, policy: SlopePolicy
    ) -> DualLayer:
        return MatrixProductLayer(*bounds)


def _outer(first: Tensor, second: Tensor) -> Tensor:
    """All products of two scalars that a matrix product sums, `[..., n, k, m]`."""
    return first.unsqueeze(-1) * second.unsqueeze(-3)


@dual_rule(ops.WeightedMean)
class WeightedMeanRule(MatrixProductRule):
    """A matrix product whose rows of weights sum to one: its values lie among those of the second operand."""

    def undecided(
        self, op: ops.MatrixProduct, bounds: Sequence[Interval], environment: Environment
    ) -> tuple[Tensor, Tensor]:
        """All that varies: a row's weights share what is left to one."""
        first, second = (~(side.lower == side.upper) for side in bounds)
        return first, second

    def range(self, op: ops.MatrixProduct, bounds: Sequence[Interval], environment: Environment) -> Interval:
        """The least and the greatest mean: first all weights are least; what is left to one goes to the best values."""
        weights, values = bounds
        return Interval(-_greatest_mean(weights, -values.lower), _greatest_mean(weights, values.upper))

    def layer(
        self, op: ops.MatrixProduct, bounds: Sequence[Interval], environment: Environment, policy: SlopePolicy
    ) -> DualLayer:
        return RowPlanesLayer(*bounds, weights=True)


def _greatest_mean(weights: Interval, values: Tensor) -> Tensor:
    """The greatest Σ p·v for p within the weights that sum to one: `[…, n, k]` with `[…, k, m]` to `[…, n, m]`."""
    ranked, order = values.sort(-2, descending=True)  # [..., k, m]
    shape = torch.broadcast_shapes(weights.lower.unsqueeze(-1).shape, values.unsqueeze(-3).shape)
    order = order.unsqueeze(-3).expand(shape)
    low, high = (end.unsqueeze(-1).expand(shape).gather(-2, order) for end in (weights.lower, weights.upper))
    room = (high - low).clamp(min=0)
    spent = torch.cat([torch.zeros_like(room.narrow(-2, 0, 1)), room.cumsum(-2)], -2).narrow(-2, 0, room.shape[-2])
    left = 1 - low.sum(-2, keepdim=True)
    taken = low + (left - spent).clamp(min=0).minimum(room)
    return (taken * ranked.unsqueeze(-3)).sum(-2)
