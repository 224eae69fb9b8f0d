"""Wasserstein balls whose linear functions are bounded, not maximised: smoothly, or faster, for training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from autodual.perturbations.regions.view import View
from autodual.perturbations.wasserstein.shared_prices import at_shared_prices
from autodual.perturbations.wasserstein.smooth_support import smooth_supremum
from autodual.perturbations.wasserstein.support_question import Question
from autodual.perturbations.wasserstein.wasserstein_region import WassersteinRegion


@dataclass(frozen=True, eq=False)
class SurrogateRegion(WassersteinRegion):
    """The same points; `extremes` gives bounds of the exact values, as the set's `sharpness` and `prices` say."""

    sharpness: float
    prices: int

    superadditive: ClassVar[bool] = False  # the exact minimum is; where a search ends is not

    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        """Whole rows that all samples share at a few prices; all others by the smooth bound, or exactly."""
        question = self._question(nu, view)
        bound = self._bound(question)
        if bound is None:
            return super().extremes(nu, view)
        return -bound(replace(question, rows=-question.rows)), bound(question)

    def least(self, nu: Tensor, view: View) -> Tensor:
        question = self._question(-nu, view)
        bound = self._bound(question)
        return super().least(nu, view) if bound is None else -bound(question)

    def _bound(self, question: Question) -> Callable[[Question], Tensor] | None:
        """The upper bound of these rows; None if it is the exact one."""
        if self.prices and question.penalty is None and question.rows.shape[0] == 1 < question.groups:
            return self._at_prices
        return self._smoothly if self.sharpness else None

    def working_scalars(self, entries: int) -> int:
        """Of both ends, as derivatives keep them; what few prices need of a row is shared by all samples."""
        rings = len(self.moves.rings)
        smooth = self.moves.window**2 + 4 * rings if self.sharpness else 0
        shared = -(-(2 * self.moves.window**2 + 2 * rings + self.prices) // max(1, self.count)) if self.prices else 0
        return max(2 * max(smooth, shared) * entries, super().working_scalars(entries))

    def _at_prices(self, question: Question) -> Tensor:
        """Of all pixels, since a matrix product takes them anyway."""
        sources, rows = question.sources, question.rows[0]
        mass = sources.mass.new_zeros(question.groups, rows[0].numel()).scatter_add(1, sources.pixels, sources.mass)
        return at_shared_prices(rows, mass, question.budget.expand(len(mass)), self.moves, self.prices)

    def _smoothly(self, question: Question) -> Tensor:
        rows = question.rows if question.penalty is None else question.rows + question.penalty
        return smooth_supremum(rows, question.sources, question.budget, self.moves, self.sharpness)
