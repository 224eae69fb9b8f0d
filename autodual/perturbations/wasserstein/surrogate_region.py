"""Wasserstein balls whose linear functions are bounded, not maximised: smoothly, or faster, for training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from autodual.perturbations.wasserstein.gains import gains
from autodual.perturbations.wasserstein.shared_prices import gains_at_prices
from autodual.perturbations.wasserstein.smooth_support import SmoothOffers
from autodual.perturbations.wasserstein.support_question import Question
from autodual.perturbations.wasserstein.wasserstein_region import WassersteinRegion


@dataclass(frozen=True, eq=False)
class SurrogateRegion(WassersteinRegion):
    """The same points; `extremes` gives bounds of the exact values, as the set's `sharpness` and `prices` say."""

    sharpness: float
    prices: int

    superadditive: ClassVar[bool] = False  # the exact minimum is; where a search ends is not

    def _gains(self, question: Question, *, both: bool) -> Tensor:
        """Whole rows that all samples share at a few prices; all others by the smooth bound, or exactly."""
        if self.prices and question.penalty is None and question.rows.shape[0] == 1 < question.groups:
            rows = [question.rows, -question.rows] if both else [question.rows]
            return torch.stack([self._at_prices(replace(question, rows=one)) for one in rows])
        if self.sharpness:
            return gains(question, partial(SmoothOffers.to, sharpness=self.sharpness), both=both)
        return super()._gains(question, both=both)

    def working_scalars(self, entries: int) -> int:
        """Of both ends, as derivatives keep them; what few prices need of a row is shared by all samples."""
        each = 2 * self.moves.window**2 + 2 * len(self.moves.rings) + self.prices if self.prices else 0
        return max(2 * -(-each // max(1, self.count)) * entries, super().working_scalars(entries))

    def rounding(self) -> Tensor:
        """A gain at few prices is a sum in this dtype of as many terms as there are pixels, none of them negative."""
        found = super().rounding()
        return found + self.shape.numel() * torch.finfo(found.dtype).eps * self._most if self.prices else found

    def _at_prices(self, question: Question) -> Tensor:
        """Of all pixels, since a matrix product takes them anyway."""
        sources, rows = question.sources, question.rows[0]
        mass = sources.mass.new_zeros(question.groups, rows[0].numel()).scatter_add(1, sources.pixels, sources.mass)
        return gains_at_prices(rows, mass, question.budget.expand(len(mass)), self.moves, self.prices)
