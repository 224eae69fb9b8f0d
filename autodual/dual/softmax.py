"""The rules of log-sum-exp and log-softmax, whose outputs depend on all scalars along an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.dual.execution import LIBRARY, Executed, Run
from autodual.dual.layer import Contribution, DualLayer
from autodual.dual.registry import dual_rule
from autodual.dual.rows import Rows
from autodual.dual.rule import NonlinearRule
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.ir.run_formula import rescaling
from autodual.policies import SlopePolicy
from autodual.tensors import flat


@dataclass(frozen=True, eq=False)
class Planes:
    """lower_slope·z + lower_intercept ≤ log Σ exp z ≤ upper_slope·z + upper_intercept along `axis` of a batch.

    Slopes `[N, *shape]`; intercepts have extent 1 along the axis.
    """

    axis: int
    lower_slope: Tensor
    upper_slope: Tensor
    lower_intercept: Tensor
    upper_intercept: Tensor

    def range(self, z: Interval) -> Interval:
        """The values between the planes over bounds `z` `[N, *shape]`."""
        centre, radius = z.centre, z.radius
        ends = []
        for sign, slope, intercept in (
            (-1, self.lower_slope, self.lower_intercept),
            (1, self.upper_slope, self.upper_intercept),
        ):
            ends.append(intercept + (slope * centre + sign * slope.abs() * radius).sum(self.axis, keepdim=True))
        return Interval(*ends)


def planes_around(z: Interval, axis: int) -> Planes:
    """Below, the tangent at the centre: the function is convex. Above, the tangent of the logarithm over chords of exp.

    With m the largest upper bound, Σ exp(z - m) lies below the sum S of its chords, and log S below its tangent at the
    middle of S' range; no intermediate number exceeds the bounds in size. For a single term both are the identity.

    Args:
        z: bounds `[N, *shape]`.
        axis: the axis of the batch over which exponentials are summed.
    """
    if z.shape[axis] == 1:
        one, zero = torch.ones_like(z.lower), (z.lower + z.upper) * 0.0
        return Planes(axis, one, one, zero, zero)
    centre = z.centre
    weight = centre.softmax(axis)
    below = centre.logsumexp(axis, keepdim=True) - (weight * centre).sum(axis, keepdim=True)
    top = z.upper.amax(axis, keepdim=True).detach()
    low, high = (z.lower - top).exp(), (z.upper - top).exp()
    width = z.upper - z.lower
    wide = width > torch.finfo(width.dtype).eps ** 0.5
    chord = torch.where(wide, (high - low) / torch.where(wide, width, torch.ones_like(width)), high)
    # Where the ends are too close for a chord, the slope is that at `high`; such a line is too low at `low`: raise it.
    base = torch.maximum(high - chord * (z.upper - top), low - chord * (z.lower - top))
    middle = ((chord * (centre - top)) + base).sum(axis, keepdim=True)
    slope = chord / middle
    above = top + middle.log() - 1 + (base.sum(axis, keepdim=True) / middle) - (slope * top).sum(axis, keepdim=True)
    room = _room(z, axis)
    return Planes(axis, weight, slope, below - room, above + room)


def _room(z: Interval, axis: int) -> float:
    """Rounding error of log Σ exp: absolute, since near a sum of 1 the logarithm is off by as much as the sum."""
    return (z.shape[axis] + 8) * torch.finfo(z.lower.dtype).eps


class LogSumExpLayer(DualLayer):
    """The dual of log Σ exp along an axis: a row takes the plane below where it is positive, else the one above."""

    per_sample = True
    linear = False

    def __init__(self, planes: Planes):
        self.planes = planes

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        values = rows.values
        shape = tuple(self.planes.lower_slope.shape[1:])
        return (rows.with_values(self.carried(rows, values), shape=shape),)

    def carried(self, rows: Rows, values: Tensor) -> Tensor:
        """The `values` `[G, K, …, 1, …]` of `rows` of the sum as values of rows of its terms."""
        positive = values.relu()
        low, high = rows.features(self.planes.lower_slope), rows.features(self.planes.upper_slope)
        return positive * low + (values - positive) * high

    def objective(self, rows: Rows) -> Contribution:
        return Contribution(centre=self.paid(rows, rows.values))

    def paid(self, rows: Rows, values: Tensor) -> Tensor:
        """What `rows` with these `values` of the sum pay for the planes' intercepts, `[G, K]`."""
        positive = values.relu()
        low, high = rows.features(self.planes.lower_intercept), rows.features(self.planes.upper_intercept)
        return flat(positive * low + (values - positive) * high, 2).sum(2)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return self.planes.range(inputs[0])

    @property
    def terms(self) -> int:
        return 2 * self.planes.lower_slope[0].numel()

    @property
    def multiplications(self) -> int:
        return 2 * self.planes.lower_slope[0].numel()


class LogSoftmaxLayer(LogSumExpLayer):
    """z - log Σ exp z: all rows along the axis use the same sum, so the sign of their total decides its plane."""

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        values = rows.values
        return (rows.with_values(values + self.carried(rows, self._total(values))),)

    def objective(self, rows: Rows) -> Contribution:
        return Contribution(centre=self.paid(rows, self._total(rows.values)))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        (z,) = inputs
        summed = self.planes.range(z)
        return Interval(z.lower - summed.upper, z.upper - summed.lower)

    def _total(self, values: Tensor) -> Tensor:
        return -values.sum(self.planes.axis + 1, keepdim=True)


class _ExponentialRule(NonlinearRule):
    def undecided(self, op: ops.LogSumExp, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        (z,) = bounds
        alone = z.shape[op.axis + 1] == 1
        return (z.lower + z.upper).isnan() if alone else ~(z.lower == z.upper)


def _executed(z: Executed, axis: int, run: Run) -> Tensor:
    """Execution error of log Σ exp z: at most the largest error of the terms, plus three errors of its own.

    The rounding of z - max z, at most that of 2|z|, and as much where a kernel changes the maximum block by block; that
    of the sum and its exponentials, relative to a sum of at least 1; that of the logarithm and the last sum, relative
    to |z| + log n.
    """
    largest, count = z.size.amax(axis, keepdim=True), z.size.shape[axis]
    own = run.precision.off(count, 3 * LIBRARY + rescaling(count)) * (1 + math.log(count))
    own = own + 2 * count * run.precision.tiny if count < run.precision.largest / 2 else math.inf
    return z.error.amax(axis, keepdim=True) + own + run.precision.gamma(4) * largest


@dual_rule(ops.LogSumExp)
class LogSumExpRule(_ExponentialRule):
    """Planes around log Σ exp, which rises in every term."""

    def executed(self, op: ops.LogSumExp, operands: Sequence[Executed], run: Run) -> Tensor:
        (z,) = operands
        return _executed(z, op.axis + 1, run)

    def range(self, op: ops.LogSumExp, bounds: Sequence[Interval], environment: Environment) -> Interval:
        (z,) = bounds
        found = z.map(lambda end: end.logsumexp(op.axis + 1, keepdim=True))
        return found if z.shape[op.axis + 1] == 1 else found.widen(_room(z, op.axis + 1))

    def layer(
        self, op: ops.LogSumExp, bounds: Sequence[Interval], environment: Environment, policy: SlopePolicy
    ) -> DualLayer:
        return LogSumExpLayer(planes_around(bounds[0], op.axis + 1))


@dual_rule(ops.LogSoftmax)
class LogSoftmaxRule(_ExponentialRule):
    """Each term against the sum of all; it rises in its own term and falls in the others."""

    def limits(self, op: ops.LogSoftmax) -> tuple[float, float]:
        return -math.inf, 0.0

    def executed(self, op: ops.LogSoftmax, operands: Sequence[Executed], run: Run) -> Tensor:
        (z,) = operands
        return z.error + _executed(z, op.axis + 1, run) + run.precision.gamma(4) * z.size

    def range(self, op: ops.LogSoftmax, bounds: Sequence[Interval], environment: Environment) -> Interval:
        (z,) = bounds
        found = Interval(_against(z.lower, z.upper, op.axis + 1), _against(z.upper, z.lower, op.axis + 1))
        room = _room(z, op.axis + 1)
        return Interval(found.lower - room, (found.upper + room).clamp(max=0))

    def layer(
        self, op: ops.LogSoftmax, bounds: Sequence[Interval], environment: Environment, policy: SlopePolicy
    ) -> DualLayer:
        return LogSoftmaxLayer(planes_around(bounds[0], op.axis + 1))


def _against(own: Tensor, others: Tensor, axis: int) -> Tensor:
    """own_i - log(exp own_i + Σ_{j≠i} exp others_j) = -log(1 + Σ_{j≠i} exp(others_j - own_i)) along an axis."""
    count = own.shape[axis]
    gaps = others.movedim(axis, -1).unsqueeze(-2) - own.movedim(axis, -1).unsqueeze(-1)
    itself = torch.eye(count, dtype=torch.bool, device=own.device)
    gaps = gaps.masked_fill(itself, 0.0)
    return -gaps.logsumexp(-1).movedim(-1, axis)
