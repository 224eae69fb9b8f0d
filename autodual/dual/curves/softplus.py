"""The rule of softplus."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.curves.declared import DeclaredRule
from autodual.dual.execution import Executed, Run
from autodual.dual.registry import dual_rule
from autodual.dual.relaxation import LinearRelaxation
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment


@dual_rule(ops.Softplus)
class SoftplusRule(DeclaredRule):
    """Convex. Beyond a threshold torch returns x, at most e^(-threshold)/beta lower; lines and range cover it."""

    def executed(self, op: ops.Softplus, operands: Sequence[Executed], run: Run) -> Tensor | None:
        """Adds the drop at the threshold, on either side of which rounding may put the product with beta."""
        found = super().executed(op, operands, run)
        (z,) = operands
        return None if found is None else found + _room(op, z.reached.widen(4 * run.precision.unit * z.size))

    def undecided(self, op: ops.Softplus, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        return super().undecided(op, bounds, environment) & ~_beyond(op, bounds[0])

    def range(self, op: ops.Softplus, bounds: Sequence[Interval], environment: Environment) -> Interval:
        (z,) = bounds
        end = op.threshold / op.beta
        lower, upper = op.function(z.lower), op.function(z.upper)
        # The function falls at the threshold, and rises before and after it.
        falls = _may_be_beyond(op, z) & ~_beyond(op, z)
        before = op.curve().value(torch.full_like(lower, end))
        return Interval(
            torch.where(falls, lower.clamp(max=end), lower), torch.where(falls, upper.maximum(before), upper)
        )

    def parallel(self, op: ops.Softplus, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        return _with_room(op, bounds[0], super().parallel(op, bounds, environment))

    def adaptive(self, op: ops.Softplus, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        return _with_room(op, bounds[0], super().adaptive(op, bounds, environment))


def _with_room(op: ops.Softplus, bounds: Interval, found: LinearRelaxation) -> LinearRelaxation:
    """The lines, the lower one moved down by `_room`; the identity where torch returns x itself over all bounds."""
    beyond, room = _beyond(op, bounds), _room(op, bounds)
    low = tuple(slope.masked_fill(beyond, 1.0) for slope in found.lower_slopes)
    high = low if found.parallel else tuple(slope.masked_fill(beyond, 1.0) for slope in found.upper_slopes)
    return LinearRelaxation(
        low,
        high,
        (found.lower_intercept - room).masked_fill(beyond, 0.0),
        found.upper_intercept.masked_fill(beyond, 0.0),
    )


def _beyond(op: ops.Softplus, bounds: Interval) -> Tensor:
    """Where torch returns x itself everywhere between bounds, however the product with beta is rounded."""
    return (bounds.lower * op.beta > op.threshold + _slack(op, bounds.lower)) & ~bounds.upper.isnan()


def _may_be_beyond(op: ops.Softplus, bounds: Interval) -> Tensor:
    """Where torch may return x itself somewhere between bounds."""
    return bounds.upper * op.beta > op.threshold - _slack(op, bounds.upper)


def _slack(op: ops.Softplus, like: Tensor) -> float:
    return 8 * torch.finfo(like.dtype).eps * abs(op.threshold)


def _room(op: ops.Softplus, bounds: Interval) -> Tensor:
    """How far torch's function may lie below softplus between bounds."""
    gap = math.log1p(math.exp(-op.threshold)) / op.beta
    return _may_be_beyond(op, bounds).to(bounds.upper.dtype) * gap
