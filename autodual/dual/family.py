"""Relaxations that each row chooses for itself: what `optimized` slopes search (the α of α-CROWN, Xu et al. 2021).

Every line between two lines below an op lies below it too, and likewise above. So of two relaxations all mixtures are
dual feasible, hence sound, one for each row and unit; a search for the best can only tighten a bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from autodual.dual.layer import Contribution, DualLayer
from autodual.dual.relaxation import LinearRelaxation, RelaxedLayer
from autodual.dual.rows import Rows
from autodual.interval import Interval


@dataclass(frozen=True)
class LineFamily:
    """All relaxations (1 - t)·first + t·second, t in [0, 1] for each row and unit.

    `first` is the adaptive relaxation, where a search begins; both are over the same bounds.
    """

    first: LinearRelaxation
    second: LinearRelaxation


class FamilyLayer(DualLayer):
    """The dual of a nonlinear op under one member of a family for each row and unit.

    choice: t `[G, K, *shape]`, in [0, 1], of the G groups of K rows that are to be pulled. A row meets one line of a
    unit only, the lower one where it is positive and the upper one where it is negative, so that one t serves both.
    """

    per_sample = True
    linear = False

    def __init__(self, family: LineFamily, choice: Tensor):
        self.family = family
        self.choice = choice

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        values, first, second = rows.values, self.family.first, self.family.second
        positive = values.relu()
        negative = values - positive
        return tuple(
            rows.with_values(positive * self._mixed(rows, *lower) + negative * self._mixed(rows, *upper))
            for lower, upper in zip(
                zip(first.lower_slopes, second.lower_slopes), zip(first.upper_slopes, second.upper_slopes)
            )
        )

    def objective(self, rows: Rows) -> Contribution:
        values, first, second = rows.values, self.family.first, self.family.second
        positive = values.relu()
        paid = (values - positive) * self._mixed(rows, first.upper_intercept, second.upper_intercept)
        if not (first.grounded and second.grounded):
            paid = paid + positive * self._mixed(rows, first.lower_intercept, second.lower_intercept)
        return Contribution(centre=paid.reshape(*paid.shape[:2], -1).sum(2))

    def _mixed(self, rows: Rows, first: Tensor, second: Tensor) -> Tensor:
        """(1 - t)·first + t·second for each row, `[G, 1 or K, *shape]`."""
        start = rows.features(first)
        return start if first is second else start + self.choice * rows.features(second - first)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        ranges = [relaxation.range(inputs) for relaxation in (self.family.first, self.family.second)]
        return Interval(ranges[0].lower.minimum(ranges[1].lower), ranges[0].upper.maximum(ranges[1].upper))

    def magnitude(self, sizes: Sequence[Tensor]) -> Tensor:
        first, second = (RelaxedLayer(relaxation) for relaxation in (self.family.first, self.family.second))
        # The lines' difference, rounded, meets the choice: of both lines' size together.
        return first.magnitude(sizes) + second.magnitude(sizes)

    def push(self, columns: Sequence[Tensor | None]) -> Tensor:
        raise NotImplementedError("rows choose lines for themselves, which columns cannot")

    def constant(self, inputs: Sequence[Tensor]) -> Tensor:
        raise NotImplementedError("rows choose lines for themselves, which points cannot")

    @property
    def terms(self) -> int:
        return self.family.first.lower_intercept[0].numel()
