"""The rule of vectors divided by their norm: rows on them never leave what the norm's dual allows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.execution import LIBRARY, Executed, Run
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
# In units of rounding, how far below t a line may fall over the bounds and still count as one that does not.
_BY_ROUNDING = 256.0


class NormalizedLayer(DualLayer):
    """With n = ⟨ν, x⟩ and the norm d ≤ D: n/d ≥ t + (n - t·d)/D where t is at most n/d.

    In n - t·d a plane stands in for d, below it where t is negative and above it where t is positive. Where that may
    be negative within the bounds, the row gets t itself, so that it is never bounded by less.
    """

    per_sample = True
    linear = False

    def __init__(self, norm: NormOverBox):
        self.norm = norm
        self._last: tuple[Rows, Tensor, Tensor] | None = None

    # --- the least quotient ------------------------------------------------------------------------------------------

    def _sum(self, values: Tensor) -> Tensor:
        """Of rows' values `[G, K, *shape]` along the axes."""
        return values.sum(tuple(axis + 1 for axis in self.norm.axes), keepdim=True)

    def _slack(self, rows: Rows, t: Tensor, above: Tensor) -> Tensor:
        """The least n - t·d over the bounds, with the plane above for d where the mask says so, else the one below."""
        slope, base = self._plane(rows, above)
        pulled = rows.values - t * slope
        x = self.norm.x
        return self._sum(pulled * rows.features(x.centre) - pulled.abs() * rows.features(x.radius)) - t * base

    def _plane(self, rows: Rows, above: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.norm.below, self.norm.above
        return (
            torch.where(above, rows.features(high.slope), rows.features(low.slope)),
            torch.where(above, rows.features(high.base), rows.features(low.base)),
        )

    def _stepped(self, rows: Rows) -> Tensor:
        """A t that the quotient never falls below: from its value at the centre down by the slack over the least norm,
        and up again by what slack is left over the greatest. A step of Dinkelbach's method each.
        """
        norm, x = self.norm, self.norm.x
        middle = self._sum(rows.values * rows.features(x.centre))
        least = middle - self._sum(rows.values.abs() * rows.features(x.radius))
        above = (least >= 0).detach()
        value = middle / rows.features(norm.middle)
        t = torch.where(above, value.clamp(min=0), value.clamp(max=0))
        slack = self._slack(rows, t, above)
        divisor = torch.where(above, rows.features(norm.least), rows.features(norm.ends(norm.below).lower))
        greatest = rows.features(norm.greatest)
        steady = divisor * _STEADY >= greatest
        t = t + slack / torch.where(slack < 0, torch.where(steady, divisor, 1.0), greatest)
        t = torch.where(above, t.clamp(min=0), t.clamp(max=0))
        t = t + self._slack(rows, t, above).clamp(min=0) / greatest
        return torch.where(steady, t, -torch.inf)

    def _least_quotient(self, rows: Rows) -> Tensor:
        """The best t known: by steps, by the norm's dual, or from the range of each entry."""
        values, range_ = rows.values, self.norm.quotients
        squares = self._sum(values.square())
        positive = squares > 0
        dual = -torch.where(positive, torch.where(positive, squares, 1.0).sqrt(), squares) / math.sqrt(self.norm.op.share)
        negative = values.clamp(max=0)
        single = self._sum((values - negative) * rows.features(range_.lower) + negative * rows.features(range_.upper))
        return self._stepped(rows).maximum(dual).maximum(single)

    def _lines(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Each row's values at x, and what it gains at each group of the sum. Those of the last rows are kept."""
        if self._last is None or self._last[0] is not rows:
            self._last = (rows, *self._found(rows))
        return self._last[1:]

    def _found(self, rows: Rows) -> tuple[Tensor, Tensor]:
        norm = self.norm
        t = self._least_quotient(rows)
        above, greatest = (t > 0).detach(), rows.features(norm.greatest)
        room = _BY_ROUNDING * torch.finfo(t.dtype).eps * t.abs() * greatest
        slanted = (self._slack(rows, t, above) >= -room).to(t.dtype).detach() / torch.where(greatest > 0, greatest, 1.0)
        slope, base = self._plane(rows, above)
        gained = torch.where(rows.features(norm.least) > 0, t - slanted * t * base, -torch.inf)
        return slanted * (rows.values - t * slope), gained + 0.0 * self._sum(rows.features(norm.x.centre))

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        return (rows.with_values(self._lines(rows)[0]),)

    def objective(self, rows: Rows) -> Contribution:
        return Contribution(centre=flat(self._lines(rows)[1], 2).sum(2))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        norm = self.norm
        most = torch.where(norm.least > 0, 1 / math.sqrt(norm.op.share), torch.inf) + 0.0 * norm.sum(norm.x.centre)
        most = most.expand_as(norm.x.lower)
        return Interval(-most, most)

    def magnitude(self, sizes: Sequence[Tensor]) -> Tensor:
        # |t| is at most Σ|ν|/√share, and what the steps divide by not much less than the greatest norm.
        norm = self.norm
        least = norm.least.minimum(norm.ends(norm.below).lower)
        ratio = torch.where(least * _STEADY >= norm.greatest, norm.greatest / least, 1.0)
        most = 4 * (2 + ratio) / math.sqrt(norm.op.share) + 0.0 * norm.sum(norm.x.centre)
        return most.expand_as(norm.x.lower)

    @property
    def terms(self) -> int:
        return 2 * self.norm.x.lower[0].numel()

    @property
    def multiplications(self) -> int:
        return 24 * self.norm.x.lower[0].numel()


@dual_rule(ops.DividedByNorm)
class DividedByNormRule(NonlinearRule):
    """The quotient of a row's value and the norm, both over the same bounds."""

    source = "docs/mathematics.md, quotients"

    def limits(self, op: ops.DividedByNorm) -> tuple[float, float]:
        most = 1 / math.sqrt(op.share)
        return -most, most

    def executed(self, op: ops.DividedByNorm, operands: Sequence[Executed], run: Run) -> Tensor:
        """Errors of x and of the norm, each over the least norm of a run, and the roundings of the op itself."""
        (x,) = operands
        axes = tuple(axis + 1 for axis in op.axes)
        count = math.prod(x.size.shape[axis] for axis in axes)
        most = 1 / math.sqrt(op.share)
        least = NormOverBox(x.reached, op).least
        moved = math.sqrt(op.share) * x.error.square().sum(axes, keepdim=True).sqrt()
        own = run.precision.off(count + 4, 2 * LIBRARY) * most + run.precision.tiny / least
        return (x.error + most * moved) / least * (1 + 1e-3) + 2 * own

    def hazard(self, op: ops.DividedByNorm) -> str:
        return "a denominator may be zero"

    def undecided(self, op: ops.DividedByNorm, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        (x,) = bounds
        return ~(x.lower == x.upper)

    def range(self, op: ops.DividedByNorm, bounds: Sequence[Interval], environment: Environment) -> Interval:
        norm = NormOverBox(bounds[0], op)
        lost = torch.where(norm.least > 0, 0.0, torch.inf)
        return norm.quotients.widen(lost)

    def layer(
        self, op: ops.DividedByNorm, bounds: Sequence[Interval], environment: Environment, policy: SlopePolicy
    ) -> DualLayer:
        return NormalizedLayer(NormOverBox(bounds[0], op))
