"""The rule of vectors divided by their norm: rows on them never leave what the norm's dual allows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.execution import Executed, Run
from autodual.dual.layer import Contribution, DualLayer
from autodual.dual.norm_over_box import NormOverBox
from autodual.dual.registry import dual_rule
from autodual.dual.rows import Rows
from autodual.dual.rule import NonlinearRule
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.policies import SlopePolicy
from autodual.tensors import flat

# How many times as large as the least norm the greatest may be for a search of t that divides by the least.
_STEADY = 64.0
# How far below t a line may fall over the bounds, as a share of the largest quotient that a row of its size could have.
_LOWER = 0.25


class NormalizedLayer(DualLayer):
    """With n = ⟨ν, x⟩ and the norm d ≤ D: n/d ≥ t + (n - t·d)/D where t is at most n/d.

    Where t is negative, a tangent stands in for d in n - t·d; where t is positive, d itself gets a row. Where the
    tangent makes n - t·d very negative within the bounds, the row gets t alone.
    """

    per_sample = True
    linear = False

    def __init__(self, norm: NormOverBox):
        self.norm = norm
        self._last: tuple[Rows, tuple[Tensor, Tensor, Tensor, Tensor]] | None = None

    # --- the least quotient ------------------------------------------------------------------------------------------

    def _sum(self, values: Tensor) -> Tensor:
        """Of rows' values `[G, K, *shape]` along the axes."""
        return values.sum(tuple(axis + 1 for axis in self.norm.axes), keepdim=True)

    def _slack(self, rows: Rows, t: Tensor, above: Tensor, least: Tensor) -> Tensor:
        """At most n - t·d over the bounds: by the plane above d where the mask says so, else by the one below, or by
        bounds of d alone. least: n at least.
        """
        d = torch.where(above, rows.features(self.norm.greatest), rows.features(self.norm.least))
        return self._slack_by_plane(rows, t, *self._plane(rows, t, above)).maximum(least - t * d)

    def _slack_by_plane(self, rows: Rows, t: Tensor, slope: Tensor, base: Tensor) -> Tensor:
        """The least n - t·(slope·x + base) over the bounds."""
        pulled, x = rows.values - t * slope, self.norm.x
        return self._sum(pulled * rows.features(x.centre) - pulled.abs() * rows.features(x.radius)) - t * base

    def _plane(self, rows: Rows, t: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
        (slope, base), high = self._below(rows, t), self.norm.above
        return torch.where(above, rows.features(high.slope), slope), torch.where(above, rows.features(high.base), base)

    def _below(self, rows: Rows, t: Tensor) -> tuple[Tensor, Tensor]:
        """The plane below d that stands in for it where t is negative."""
        norm = self.norm
        slope, base = rows.features(norm.below.slope), rows.features(norm.below.base)
        if norm.op.order == 2:
            return slope, base
        # ν·x - t·|x| is exact at its least where an open entry's slope makes it vanish, or is the steepest.
        share = norm.op.share
        own = rows.values / torch.where(t < 0, share * t, -1.0)
        return torch.where(rows.features(norm.open_signs), share * own.clamp(-1, 1), slope), base

    def _stepped(self, rows: Rows) -> Tensor:
        """A t that the quotient never falls below: from its value at the centre down by the slack over the least norm,
        and up again by what slack is left over the greatest. A step of Dinkelbach's method each.
        """
        norm = self.norm
        middle, least = self._middle_and_least(rows)
        above = (least >= 0).detach()
        value = middle / rows.features(norm.middle)
        t = torch.where(above, value.clamp(min=0), value.clamp(max=0))
        slack = self._slack(rows, t, above, least)
        divisor = torch.where(above, rows.features(norm.least), rows.features(norm.divisor))
        greatest = rows.features(norm.greatest)
        steady = divisor * _STEADY >= greatest
        t = t + slack / torch.where(slack < 0, torch.where(steady, divisor, 1.0), greatest)
        t = torch.where(above, t.clamp(min=0), t.clamp(max=0))
        t = t + self._slack(rows, t, above, least).clamp(min=0) / greatest
        return torch.where(steady, t, -torch.inf)

    def _middle_and_least(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """n at the centre, and at least."""
        x = self.norm.x
        middle = self._sum(rows.values * rows.features(x.centre))
        return middle, middle - self._sum(rows.values.abs() * rows.features(x.radius))

    def _least_quotient(self, rows: Rows) -> Tensor:
        """The best t known: by steps, by the norm's dual, or from the range of each entry."""
        values, range_ = rows.values, self.norm.quotients
        negative = values.clamp(max=0)
        single = self._sum((values - negative) * rows.features(range_.lower) + negative * rows.features(range_.upper))
        return self._stepped(rows).maximum(-self._most(rows)).maximum(single)

    def _most(self, rows: Rows) -> Tensor:
        """The norm's dual: the size of any quotient."""
        return self._dual_norm(rows.values) * self.norm.op.most

    def _dual_norm(self, values: Tensor) -> Tensor:
        """Of rows' values `[G, K, *shape]`: |ν|₂, or the largest |ν| for norms of order 1."""
        if self.norm.op.order == 1:
            return values.abs().amax(tuple(axis + 1 for axis in self.norm.axes), keepdim=True)
        squares, limits = self._sum(values.square()), torch.finfo(values.dtype)
        # The sum of sizes is no less, and has no squares that are too small for a float.
        large = squares > limits.tiny / limits.eps
        return torch.where(large, torch.where(large, squares, 1.0).sqrt(), self._sum(values.abs()))

    def least(self, rows: Rows) -> Tensor:
        return flat(self._lines(rows)[3], 2).sum(2)

    def _lines(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Each row's values at x and at d, what it gains at each norm, and t. Those of the last rows are kept."""
        if self._last is None or self._last[0] is not rows:
            self._last = rows, self._found(rows)
        return self._last[1]

    def _found(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        norm = self.norm
        t = torch.where(rows.features(norm.least) > 0, self._least_quotient(rows), -torch.inf) + rows.features(
            norm.known
        )
        greatest, above = rows.features(norm.greatest), (t > 0).detach()
        below = torch.where(above | t.isinf(), 0.0, t)
        tangent, base = self._below(rows, below)
        room = _LOWER * self._most(rows) * greatest
        slanted = above | (self._slack_by_plane(rows, below, tangent, base) >= -room).detach()
        share = slanted.to(t.dtype) / torch.where(greatest > 0, greatest, 1.0)
        at_d = torch.where(above, -share * t, 0.0 * share)
        return share * (rows.values - below * tangent), at_d, t - share * below * base, t

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        x, d, _, _ = self._lines(rows)
        return rows.with_values(x), rows.with_values(d, shape=tuple(self.norm.d.shape[1:]))

    def objective(self, rows: Rows) -> Contribution:
        return Contribution(centre=flat(self._lines(rows)[2], 2).sum(2))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        norm = self.norm
        most = torch.where(norm.least > 0, (1 + _LOWER) * norm.op.most, torch.inf) + norm.known
        most = most.expand_as(norm.x.lower)
        return Interval(-most, most)

    def magnitude(self, sizes: Sequence[Tensor]) -> Tensor:
        # |t| is at most Σ|ν|/√share, and what the steps divide by not much less than the greatest norm.
        norm = self.norm
        least = norm.divisor
        ratio = torch.where(least * _STEADY >= norm.greatest, norm.greatest / least, 1.0)
        # Bounds of x may reach further than those of d.
        beyond = torch.where(norm.greatest > 0, norm.reach / norm.greatest, 1.0)
        most = 4 * (2 + ratio) * beyond.clamp(min=1).square() * norm.op.most + norm.known
        return most.expand_as(norm.x.lower)

    @property
    def terms(self) -> int:
        return 2 * self.norm.x.lower[0].numel()

    @property
    def multiplications(self) -> int:
        return 24 * self.norm.x.lower[0].numel()


def _norm(op: ops.DividedByNorm, bounds: Sequence[Interval]) -> NormOverBox:
    x, d = bounds
    return NormOverBox(x, d, op)


@dual_rule(ops.DividedByNorm)
class DividedByNormRule(NonlinearRule):
    """The quotient of a row's value and the norm, both over the same bounds."""

    def limits(self, op: ops.DividedByNorm) -> tuple[float, float]:
        # Where the norm may be 0 there is no value at all.
        most = op.most if op.inside > 0 or op.floor > 0 or op.outside > 0 else math.inf
        return -most, most

    def executed(self, op: ops.DividedByNorm, operands: Sequence[Executed], run: Run) -> Tensor:
        """Errors of x and of d, each over the least d of a run, and the rounding of the quotient."""
        x, d = operands
        least = d.reached.lower
        share = (x.error + d.error * op.most) / least
        own = run.precision.gamma(4) * x.size / least + run.precision.tiny
        return torch.where(least > 0, share + own, torch.inf)

    def hazard(self, op: ops.DividedByNorm) -> str:
        return "a denominator may be zero"

    def undecided(
        self, op: ops.DividedByNorm, bounds: Sequence[Interval], environment: Environment
    ) -> tuple[Tensor, Tensor]:
        x, d = bounds
        return ~(x.lower == x.upper), ~(d.lower == d.upper)

    def range(self, op: ops.DividedByNorm, bounds: Sequence[Interval], environment: Environment) -> Interval:
        norm = _norm(op, bounds)
        found = norm.quotients.intersect(norm.apart)
        lost = torch.where(norm.least > 0, 0.0, torch.inf)
        return Interval(found.lower.minimum(found.upper) - lost, found.lower.maximum(found.upper) + lost)

    def layer(
        self, op: ops.DividedByNorm, bounds: Sequence[Interval], environment: Environment, policy: SlopePolicy
    ) -> DualLayer:
        return NormalizedLayer(_norm(op, bounds))
