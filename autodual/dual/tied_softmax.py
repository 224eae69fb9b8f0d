"""The rule of the softmax: its entries share one sum, so that a row on them never leaves their weighted means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from autodual.dual.execution import LIBRARY, Executed, Run
from autodual.dual.layer import Contribution, DualLayer
from autodual.dual.registry import dual_rule
from autodual.dual.rows import Rows
from autodual.dual.rule import NonlinearRule
from autodual.dual.sums import others
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.policies import SlopePolicy
from autodual.tensors import flat

# Sums of exponentials below this share of their largest possible value are not divided by.
_LEAST_SHARE = 1e-9


@dataclass(frozen=True, eq=False)
class Exponentials:
    """w·e^(z - top) over bounds of z `[N, *shape]`: values at both ends, the chord's slope, the largest sum.

    axis: of the batch. top: the largest upper bound along it, among entries of weight above 0.
    """

    z: Interval
    axis: int
    top: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def over(cls, z: Interval, axis: int, weights: Tensor | None) -> Exponentials:
        """Over bounds `z` `[N, *shape]`, along an `axis` of the batch, with `weights` that broadcast to them."""
        taking_part = z.upper if weights is None else torch.where(weights > 0, z.upper, -torch.inf)
        top = taking_part.amax(axis, keepdim=True).detach()
        low, high = (z.lower - top).exp(), (z.upper - top).exp()
        if weights is not None:
            # An entry of weight 0 takes no part, however large it is; with negative weights nothing is proved.
            none = torch.where(weights < 0, torch.nan, 0.0) + 0.0 * (z.lower + z.upper)
            low, high = (torch.where(weights > 0, end * weights, none) for end in (low, high))
        return cls(z, axis, top, low, high)

    @cached_property
    def greatest_sum(self) -> Tensor:
        """Along the axis, which stays with extent 1."""
        return self.high.sum(self.axis, keepdim=True)

    @cached_property
    def chord(self) -> Tensor:
        """Slope of the line through both ends, which lies above; the steepest one where they are too close for one."""
        width = self.z.upper - self.z.lower
        wide = width > torch.finfo(width.dtype).eps ** 0.5
        return torch.where(wide, (self.high - self.low) / torch.where(wide, width, 1.0), self.high)

    @cached_property
    def shares(self) -> Interval:
        """The range of w·eᶻ/Σw·eᶻ, exact: an entry rises with its own exponent and falls with all others."""
        return Interval(
            self._share(self.low, self.low + others(self.high, self.axis), 0.0),
            self._share(self.high, self.high + others(self.low, self.axis), 1.0),
        )

    @cached_property
    def nothing(self) -> Tensor:
        """Zeros along the axis, which stays with extent 1; NaN where any bound is, or no entry has a weight."""
        total = (self.low + self.high).sum(self.axis, keepdim=True)
        return torch.where(total > 0, 0.0 * total, torch.nan)

    def steady(self, total: Tensor, room: float = 1.0) -> Tensor:
        """Where a `total` of exponentials is large enough to divide by, so many times (`room`) even."""
        return total > room * _LEAST_SHARE * self.greatest_sum

    def _share(self, part: Tensor, total: Tensor, otherwise: float) -> Tensor:
        steady = self.steady(total)
        return torch.where(steady, part / torch.where(steady, total, 1.0), otherwise) + self.nothing


class SoftmaxLayer(DualLayer):
    """Rows of weighted means: with n = Σ aₖ w eᶻₖ and d = Σ w eᶻₖ ≤ D, n/d ≥ t + (n - t·d)/D where t is at most n/d.

    t is the least weighted mean over the bounds. In n - t·d the exponentials with positive factors are replaced by
    their tangents at the lower end, the others by chords: so the line never falls below t over the bounds.
    """

    per_sample = True
    linear = False

    def __init__(self, exponentials: Exponentials):
        self.over = exponentials
        self._last: tuple[Rows, Tensor, Tensor] | None = None

    def _factors(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """t of each row and group, `[G, K, …, 1, …]`, and (a - t)/D. Those of the last rows are kept: both `pull` and
        `objective` need them.
        """
        if self._last is None or self._last[0] is not rows:
            t = self._least_mean(rows)
            self._last = rows, t, (rows.values - t) / rows.features(self.over.greatest_sum)
        return self._last[1], self._last[2]

    def _least_mean(self, rows: Rows) -> Tensor:
        """The least Σ aₖpₖ over the bounds: some k smallest a have the largest exponentials, all others the least."""
        axis = self.over.axis + 1
        factor, order = rows.values.sort(axis)
        shape = torch.broadcast_shapes(factor.shape, rows.features(self.over.low).shape)
        factor, order = factor.expand(shape), order.expand(shape)
        low, high = (rows.features(end).expand(shape).gather(axis, order) for end in (self.over.low, self.over.high))
        above, total_above = _first_sums(factor * high, axis), _first_sums(high, axis)
        below, total_below = _last_sums(factor * low, axis), _last_sums(low, axis)
        total = total_above + total_below
        smallest = factor.narrow(axis, 0, 1)
        steady = total > _LEAST_SHARE * rows.features(self.over.greatest_sum)
        means = (above + below) / torch.where(steady, total, 1.0)
        least = torch.where(steady, means, smallest).amin(axis, keepdim=True).maximum(smallest)
        return least + rows.features(self.over.nothing)

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        _, factor = self._factors(rows)
        slope = torch.where(factor > 0, rows.features(self.over.low), rows.features(self.over.chord))
        return (rows.with_values(factor * slope),)

    def objective(self, rows: Rows) -> Contribution:
        t, factor = self._factors(rows)
        over = self.over
        tangent = over.low * (1 - over.z.lower)
        # The larger of what the two ends need, which differ by rounding.
        chord = (over.high - over.chord * over.z.upper).maximum(over.low - over.chord * over.z.lower)
        paid = factor * torch.where(factor > 0, rows.features(tangent), rows.features(chord))
        return Contribution(centre=flat(t, 2).sum(2) + flat(paid, 2).sum(2))

    def least(self, rows: Rows) -> Tensor:
        return flat(self._factors(rows)[0], 2).sum(2)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        shares = self.over.shares
        # Then all sums are that rows divide by.
        steady = self.over.steady(self.over.low.sum(self.over.axis, keepdim=True), room=2.0)
        least, greatest = self.over.nothing, self.over.nothing + 1.0
        return Interval(torch.where(steady, shares.lower, least), torch.where(steady, shares.upper, greatest))

    def magnitude(self, sizes: Sequence[Tensor]) -> Tensor:
        # |a - t| is at most twice the largest |a|, and Σ w·e^(z - top)/D at most 1.
        (size,) = sizes
        size = size.amax(self.over.axis, keepdim=True) + self.over.z.magnitude.amax(self.over.axis, keepdim=True)
        return (8.0 * (1.0 + size)).expand(torch.broadcast_shapes(size.shape, self.over.low.shape))

    @property
    def terms(self) -> int:
        return 2 * self.over.low[0].numel()

    @property
    def multiplications(self) -> int:
        return 12 * self.over.low[0].numel()


def _first_sums(values: Tensor, axis: int) -> Tensor:
    """Sums of the first k of n entries along an axis, for k = 0 to n."""
    return torch.cat([torch.zeros_like(values.narrow(axis, 0, 1)), values.cumsum(axis)], axis)


def _last_sums(values: Tensor, axis: int) -> Tensor:
    """Sums of all but the first k of n entries along an axis, for k = 0 to n."""
    return _first_sums(values.flip(axis), axis).flip(axis)


@dual_rule(ops.Softmax)
class SoftmaxRule(NonlinearRule):
    """The quotient of a weighted sum of exponentials and their sum, both over the same bounds."""

    def limits(self, op: ops.Softmax) -> tuple[float, float]:
        return 0.0, 1.0

    def executed(self, op: ops.Softmax, operands: Sequence[Executed], run: Run) -> Tensor:
        """Exponents are off by their error and the rounding of the shift; an entry changes by twice that share."""
        (z,) = operands
        axis = op.axis + 1
        if op.weights is not None and bool(run.errors(op.weights).any()):
            return torch.full_like(z.error, torch.inf)
        off = (z.error + run.precision.gamma(4) * z.size).amax(axis, keepdim=True)
        own = run.precision.off(z.size.shape[axis], 3 * LIBRARY)
        return (torch.expm1(2 * off) + own * torch.exp(2 * off) + run.precision.tiny).expand_as(z.error)

    def undecided(self, op: ops.Softmax, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        (z,) = bounds
        return (z.lower + z.upper).isnan() if z.shape[op.axis + 1] == 1 else ~(z.lower == z.upper)

    def range(self, op: ops.Softmax, bounds: Sequence[Interval], environment: Environment) -> Interval:
        return self._over(op, bounds, environment).shares

    def layer(
        self, op: ops.Softmax, bounds: Sequence[Interval], environment: Environment, policy: SlopePolicy
    ) -> DualLayer:
        return SoftmaxLayer(self._over(op, bounds, environment))

    def _over(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Exponentials:
        return Exponentials.over(bounds[0], op.axis + 1, ops.optional(op.weights, environment))
