"""Relaxations that each row chooses for itself: what `optimized` slopes search (the α of α-CROWN, Xu et al. 2021).

Every line between two lines below an op lies below it too, and likewise above. So every mixture of two relaxations is
dual feasible, hence sound, even with weights of its own for each row and unit; a search for the best ones can only
tighten a bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from autodual.dual.layer import Contribution, DualLayer
from autodual.dual.relaxation import LinearRelaxation, RelaxedLayer
from autodual.dual.rows import Rows
from autodual.interval import Interval


@dataclass(frozen=True)
class Mixture:
    """Numbers first + t·rise `[N, *shape]`; rise is None if both ends are one tensor, so that t does not matter."""

    first: Tensor
    rise: Tensor | None

    @classmethod
    def between(cls, first: Tensor, second: Tensor) -> Mixture:
        """All numbers from `first` (t = 0) to `second` (t = 1), `[N, *shape]`."""
        return cls(first, None if first is second else second - first)

    def at(self, rows: Rows, choice: Tensor) -> Tensor:
        """The numbers for `rows` at their t = `choice` `[G, K, *shape]`: `[G or 1, 1 or K, *shape]`."""
        start = rows.features(self.first)
        return start if self.rise is None else start + choice * rows.features(self.rise)


@dataclass(frozen=True)
class LineFamily:
    """All relaxations (1 - t)·first + t·second, t in [0, 1] for each row and unit.

    Args:
        first: the relaxation at t = 0.
        second: the relaxation at t = 1, over the same bounds.
        start: the t `[N, *shape]` of the adaptive relaxation, where a search begins; None: 0, since `first` is
            adaptive. A rule gives it where t means the same over all bounds, as a ReLU's slope α does: then the t found
            over some bounds is a good start over others.

        parallel: the t `[N, *shape]` of the parallel relaxation, which a search looks at too; None: 1, for `second` is.

    Example:
        >>> import torch
        >>> from autodual.dual import LineFamily, LinearRelaxation
        >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
        >>> flat, steep = (LinearRelaxation((slope,), (one,), zero, one) for slope in (zero, one))
        >>> LineFamily(flat, steep).relaxation(torch.tensor([[0.25]])).lower_slopes[0]
        tensor([[0.2500]])
    """

    first: LinearRelaxation
    second: LinearRelaxation
    start: Tensor | None = None
    parallel: Tensor | None = None

    @cached_property
    def lower_slopes(self) -> tuple[Mixture, ...]:
        """Slopes of the lower lines, one per input."""
        return tuple(map(Mixture.between, self.first.lower_slopes, self.second.lower_slopes))

    @cached_property
    def upper_slopes(self) -> tuple[Mixture, ...]:
        """Slopes of the upper lines, one per input."""
        return tuple(map(Mixture.between, self.first.upper_slopes, self.second.upper_slopes))

    @cached_property
    def lower_intercept(self) -> Mixture:
        """Intercepts of the lower lines."""
        return Mixture.between(self.first.lower_intercept, self.second.lower_intercept)

    @cached_property
    def upper_intercept(self) -> Mixture:
        """Intercepts of the upper lines."""
        return Mixture.between(self.first.upper_intercept, self.second.upper_intercept)

    def relaxation(self, choice: Tensor) -> LinearRelaxation:
        """The relaxation at t = `choice` `[N or 1, *shape]`, shared by all rows."""

        def at(mixture: Mixture) -> Tensor:
            return mixture.first if mixture.rise is None else mixture.first + choice * mixture.rise

        lower, upper = (tuple(map(at, slopes)) for slopes in (self.lower_slopes, self.upper_slopes))
        return LinearRelaxation(lower, upper, at(self.lower_intercept), at(self.upper_intercept), self.grounded)

    @property
    def grounded(self) -> bool:
        """Whether every lower line goes through the origin."""
        return self.first.grounded and self.second.grounded


@dataclass(frozen=True, eq=False)
class _Parts:
    """Rows and the lines that they meet: ν⁺, which takes the lower ones, and -ν⁻, which takes the upper ones."""

    rows: Rows
    positive: Tensor
    negative: Tensor
    lower: tuple[Tensor, ...]
    upper: tuple[Tensor, ...]


class FamilyLayer(DualLayer):
    """The dual of a nonlinear op under one member of a family for each row and unit.

    Args:
        family: the relaxations to choose from.
        choice: t `[G, K, *shape]`, in [0, 1], for the G groups of K rows that will be pulled. A row uses one line of a
            unit only, the lower one where it is positive and the upper one where it is negative, so one t serves both.
    """

    per_sample = True
    linear = False

    def __init__(self, family: LineFamily, choice: Tensor):
        self.family = family
        self.choice = choice
        self._last: _Parts | None = None

    def _parts(self, rows: Rows) -> _Parts:
        """The parts of rows. Those of the last rows are kept: one step of a search asks for them four times."""
        if self._last is None or self._last.rows is not rows:
            positive = rows.values.relu()
            lower, upper = (
                tuple(slope.at(rows, self.choice) for slope in slopes)
                for slopes in (self.family.lower_slopes, self.family.upper_slopes)
            )
            self._last = _Parts(rows, positive, rows.values - positive, lower, upper)
        return self._last

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        parts = self._parts(rows)
        return tuple(
            rows.with_values(parts.positive * low + parts.negative * high)
            for low, high in zip(parts.lower, parts.upper)
        )

    def objective(self, rows: Rows) -> Contribution:
        parts = self._parts(rows)
        paid = parts.negative * self.family.upper_intercept.at(rows, self.choice)
        if not self.family.grounded:
            paid = paid + parts.positive * self.family.lower_intercept.at(rows, self.choice)
        return Contribution(centre=paid.reshape(*paid.shape[:2], -1).sum(2))

    def along(self, rows: Rows, points: Sequence[Tensor]) -> Tensor:
        parts, family = self._parts(rows), self.family
        above = family.upper_intercept.at(rows, self.choice)
        below = torch.zeros_like(above) if family.grounded else family.lower_intercept.at(rows, self.choice)
        for low, high, point in zip(parts.lower, parts.upper, points, strict=True):
            below, above = torch.addcmul(below, low, point), torch.addcmul(above, high, point)
        return above.lerp(below, _share_below(rows))

    def by_choice(self, rows: Rows, points: Sequence[Tensor]) -> Tensor:
        # How far the lines that the rows meet rise with t.
        parts, family = self._parts(rows), self.family
        total = torch.zeros_like(self.choice)
        for part, slopes, intercept in (
            (parts.positive, family.lower_slopes, family.lower_intercept),
            (parts.negative, family.upper_slopes, family.upper_intercept),
        ):
            rise = _rise(rows, slopes, intercept, points)
            total = total if rise is None else torch.addcmul(total, part, rise)
        return total

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        ranges = [relaxation.range(inputs) for relaxation in (self.family.first, self.family.second)]
        return Interval(ranges[0].lower.minimum(ranges[1].lower), ranges[0].upper.maximum(ranges[1].upper))

    def magnitude(self, sizes: Sequence[Tensor]) -> Tensor:
        first, second = (RelaxedLayer(relaxation) for relaxation in (self.family.first, self.family.second))
        # t multiplies the rounded difference of both lines, which is up to as large as both together.
        return first.magnitude(sizes) + second.magnitude(sizes)

    @property
    def terms(self) -> int:
        return self.family.first.lower_intercept[0].numel()


def _rise(rows: Rows, slopes: Sequence[Mixture], intercept: Mixture, points: Sequence[Tensor]) -> Tensor | None:
    """How much higher a line at points is at t = 1 than at t = 0; None where both are one line."""
    total = None if intercept.rise is None else rows.features(intercept.rise)
    for slope, point in zip(slopes, points, strict=True):
        if slope.rise is not None:
            risen = rows.features(slope.rise) * point
            total = risen if total is None else total + risen
    return total


def _share_below(rows: Rows) -> Tensor:
    """1 where rows meet the lower line, 0 where they meet the upper one, and between where they are zero."""
    # Comparisons and `where` take five times as long on a CPU.
    return rows.values.sign().add_(1.0).mul_(0.5)
