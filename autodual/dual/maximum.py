"""The rule of the maximum of branches, and so of max-pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autodual.dual.execution import Executed, Run
from autodual.dual.registry import dual_rule
from autodual.dual.relaxation import LinearRelaxation
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment


@dataclass(frozen=True, eq=False)
class Contest:
    """Which of k branches may be the largest.

    lower, upper: bounds `[k, N, *shape]`. first: mask of that shape, the branch with the highest centre. second: of the
    others the one with the highest upper bound. decided: `[N, *shape]`, where no other is ever above the first.
    """

    lower: Tensor
    upper: Tensor
    first: Tensor
    second: Tensor
    decided: Tensor

    @classmethod
    def of(cls, bounds: Sequence[Interval]) -> Contest:
        """The contest of branches with these `bounds` `[N, *shape]`, which broadcast."""
        shape = torch.broadcast_shapes(*(bound.shape for bound in bounds))
        lower = torch.stack([bound.lower.expand(shape) for bound in bounds])
        upper = torch.stack([bound.upper.expand(shape) for bound in bounds])
        with torch.no_grad():
            first = _mask((lower + upper).argmax(0), lower)
            rivals = upper.masked_fill(first, -torch.inf)
            second = _mask(rivals.argmax(0), lower)
            decided = (lower * first).sum(0) >= rivals.amax(0)
        return cls(lower, upper, first, second, decided)


def _mask(index: Tensor, like: Tensor) -> Tensor:
    """The index `[N, *shape]` of a branch as a mask `[k, N, *shape]`."""
    places = torch.arange(like.shape[0], device=like.device).reshape(-1, *[1] * index.dim())
    return places == index


@dual_rule(ops.Maximum)
class MaximumRule(RelaxationRule):
    """Planes around max(x₁, …, x_k) over a box; exact where one branch is never below another."""

    exact = True

    def executed(self, op: ops.Maximum, operands: Sequence[Executed], run: Run) -> Tensor:
        """No more than the largest error among the branches."""
        return torch.stack(torch.broadcast_tensors(*(branch.error for branch in operands))).amax(0)

    def undecided(self, op: ops.Maximum, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        return ~Contest.of(bounds).decided

    def range(self, op: ops.Maximum, bounds: Sequence[Interval], environment: Environment) -> Interval:
        contest = Contest.of(bounds)
        return Interval(contest.lower.amax(0), contest.upper.amax(0))

    def parallel(self, op: ops.Maximum, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        """Slopes λ and 1 - λ on the `first` and `second` branch, with λ the slope of the chord of max(x₁ - x₂, 0).

        A weighted mean is at most the maximum; how far the maximum can exceed it is bounded branch by branch.
        """
        contest = Contest.of(bounds)
        lower, upper, decided = contest.lower, contest.upper, contest.decided
        one_low, one_high = ((end * contest.first).sum(0) for end in (lower, upper))
        two_low, two_high = ((end * contest.second).sum(0) for end in (lower, upper))
        least_gap, greatest_gap = one_low - two_high, one_high - two_low
        width = torch.where(decided, torch.ones_like(one_low), greatest_gap - least_gap)
        share = torch.where(decided, torch.ones_like(one_low), (greatest_gap / width).clamp(0, 1))
        weights = contest.first * share + contest.second * (1 - share)
        least, greatest = (weights * lower).sum(0), (weights * upper).sum(0)
        others = upper.masked_fill(contest.first | contest.second, -torch.inf).amax(0) - least
        high = torch.maximum((1 - share) * greatest_gap, -share * least_gap).maximum(others)
        low = (lower.amax(0) - greatest).clamp(min=0)
        slopes = tuple(weights.unbind(0))
        return LinearRelaxation(slopes, slopes, low.masked_fill(decided, 0.0), high.masked_fill(decided, 0.0))

    def adaptive(self, op: ops.Maximum, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        """Below: the branch with the highest centre. Above: max x ≤ c + Σ max(x_i - c, 0), each term below its chord.

        That holds for every c, and its value at the centre is c + Σ max(u_i - c, 0)/2, least for c between the second
        and the third highest u. At the second highest only one branch has a slope, and the plane never exceeds max u.
        """
        contest = Contest.of(bounds)
        lower, upper, decided = contest.lower, contest.upper, contest.decided
        below = contest.first.to(lower.dtype)
        threshold = lower.amax(0)
        if len(bounds) > 1:
            threshold = threshold.maximum(upper.topk(2, dim=0).values[1])
        width = torch.where(upper > lower, upper - lower, torch.ones_like(upper))
        rise = (upper - threshold).clamp(min=0)
        slope = rise / width
        # The larger of what the two ends need, which differ only by rounding or where the width overflows.
        height = threshold + (-slope * lower).maximum(rise - slope * upper).sum(0)
        above = torch.where(decided, below, slope)
        zero = torch.zeros_like(height)
        return LinearRelaxation(tuple(below.unbind(0)), tuple(above.unbind(0)), zero, height.masked_fill(decided, 0.0))

    def others(
        self, op: ops.Maximum, bounds: Sequence[Interval], environment: Environment
    ) -> Sequence[LinearRelaxation]:
        """The parallel planes, and below the branch with the highest lower bound.

        Behind a ReLU of unknown sign, what a row can prove of a branch lies well below its centre, so that another
        branch may be the better one.
        """
        contest, adaptive = Contest.of(bounds), self.adaptive(op, bounds, environment)
        surest = _mask(contest.lower.argmax(0), contest.lower)
        below = torch.where(contest.decided, contest.first, surest).to(contest.lower.dtype)
        return [self.parallel(op, bounds, environment), replace(adaptive, lower_slopes=tuple(below.unbind(0)))]
