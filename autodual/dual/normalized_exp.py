"""The rule of exponentials that sum to one, as a softmax' do: a row on them never leaves their weighted means."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.execution import LIBRARY, Executed, Run
from autodual.dual.layer import Contribution, DualLayer
from autodual.dual.registry import dual_rule
from autodual.dual.rows import Rows
from autodual.dual.rule import NonlinearRule
from autodual.dual.sums import others, sums_before
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.policies import SlopePolicy
from autodual.tensors import flat

# Where the tangents touch, as a share of the bounds' width from the lower end, and how far from it at most. Up to 1 a
# tangent is not negative anywhere above the lower end.
_SHARE, _MOST = 0.25, 1.0


class NormalizedExpLayer(DualLayer):
    """Σ aₖpₖ = t + Σ (aₖ - t)pₖ for any t, since Σ pₖ = 1; pₖ = e^zₖ above its tangent or below its chord.

    t is the multiplier of Σ pₖ = 1 in the linear program for the least Σ aₖpₖ over bounds of each pₖ.
    """

    per_sample = True
    linear = False

    def __init__(self, z: Interval, axis: int):
        self.axis = axis
        self.z = z.map(lambda end: end.clamp(max=0.0))
        self.shares = self.z.map(torch.exp)
        #: Zeros with extent 1 along the axis; NaN where any bound is.
        self.nothing = 0.0 * (self.shares.lower + self.shares.upper).sum(axis, keepdim=True)
        width = self.z.upper - self.z.lower
        touching = self.z.lower + (_SHARE * width).clamp(max=_MOST)
        self.tangent = touching.exp()
        self.tangent_base = self.tangent * (1 - touching)
        wide = width > torch.finfo(width.dtype).eps ** 0.5
        rise = self.shares.upper - self.shares.lower
        self.chord = torch.where(wide, rise / torch.where(wide, width, 1.0), self.shares.upper)
        # The larger of what the two ends need, which differ by rounding.
        ends = [
            share - self.chord * end
            for share, end in ((self.shares.lower, self.z.lower), (self.shares.upper, self.z.upper))
        ]
        self.chord_base = ends[0].maximum(ends[1])
        self._last: tuple[Rows, Tensor] | None = None

    def _level(self, rows: Rows) -> Tensor:
        """t of each row, `[G, K, …, 1, …]`; those of the last rows are kept: both `pull` and `objective` need them."""
        if self._last is None or self._last[0] is not rows:
            axis, low = self.axis + 1, rows.features(self.shares.lower)
            room = rows.features(self.shares.upper) - low
            ranked, order = rows.values.sort(axis)
            shape = torch.broadcast_shapes(ranked.shape, room.shape)
            spent = sums_before(room.expand(shape).gather(axis, order.expand(shape)), axis)
            left = 1 - low.sum(axis, keepdim=True)
            # What the least shares leave of one goes to the smallest coefficients first; t is the last that gets any.
            place = ((spent < left).sum(axis, keepdim=True) - 1).clamp(min=0)
            self._last = rows, ranked.expand(shape).gather(axis, place) + rows.features(self.nothing)
        return self._last[1]

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        factor = rows.values - self._level(rows)
        slope = torch.where(factor > 0, rows.features(self.tangent), rows.features(self.chord))
        return (rows.with_values(factor * slope),)

    def objective(self, rows: Rows) -> Contribution:
        t = self._level(rows)
        factor = rows.values - t
        base = torch.where(factor > 0, rows.features(self.tangent_base), rows.features(self.chord_base))
        return Contribution(centre=flat(t, 2).sum(2) + flat(factor * base, 2).sum(2))

    def least(self, rows: Rows) -> Tensor:
        t = self._level(rows)
        factor = rows.values - t
        share = torch.where(factor > 0, rows.features(self.shares.lower), rows.features(self.shares.upper))
        return flat(t, 2).sum(2) + flat(factor * share, 2).sum(2)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        least = self.nothing.expand_as(self.z.lower)
        return Interval(least, least + 1.0)

    def magnitude(self, sizes: Sequence[Tensor]) -> Tensor:
        # |a - t| is at most twice the largest |a|, and every line's terms count.
        size = self.z.magnitude.maximum(sizes[0])
        lines = (self.tangent + self.chord) * size + self.tangent_base.abs() + self.chord_base.abs()
        total = 2 * (1.0 + lines.sum(self.axis, keepdim=True))
        return total.expand_as(lines)

    @property
    def terms(self) -> int:
        return 2 * self.z.lower[0].numel()

    @property
    def multiplications(self) -> int:
        return 8 * self.z.lower[0].numel()


@dual_rule(ops.NormalizedExp)
class NormalizedExpRule(NonlinearRule):
    """Tangents and chords of the exponential, with what its values have in common taken out of the row."""

    def limits(self, op: ops.NormalizedExp) -> tuple[float, float]:
        return 0.0, 1.0

    def executed(self, op: ops.NormalizedExp, operands: Sequence[Executed], run: Run) -> Tensor:
        (z,) = operands
        size = z.reached.upper.exp()
        return size * (torch.expm1(z.error) + run.precision.gamma(LIBRARY)) + run.precision.tiny

    def undecided(self, op: ops.NormalizedExp, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        (z,) = bounds
        return ~(z.lower == z.upper)

    def range(self, op: ops.NormalizedExp, bounds: Sequence[Interval], environment: Environment) -> Interval:
        """Each between its exponentials, and what the others leave of one."""
        (z,), axis = bounds, op.axis + 1
        shares = z.map(lambda end: end.exp().clamp(max=1.0))
        low = shares.lower.maximum(1 - others(shares.upper, axis))
        high = shares.upper.minimum(1 - others(shares.lower, axis))
        return Interval(low.minimum(high), low.maximum(high))

    def layer(
        self, op: ops.NormalizedExp, bounds: Sequence[Interval], environment: Environment, policy: SlopePolicy
    ) -> DualLayer:
        return NormalizedExpLayer(bounds[0], op.axis + 1)
