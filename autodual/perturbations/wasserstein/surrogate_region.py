"""Wasserstein balls whose linear functions are bounded, not maximised: smoothly, or faster, for training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from autodual.perturbations.regions.view import View
from autodual.perturbations.wasserstein.shared_prices import at_shared_prices
from autodual.perturbations.wasserstein.smooth_support import smooth_supremum
from autodual.perturbations.wasserstein.support_function import ring_maxima
from autodual.perturbations.wasserstein.wasserstein_region import WassersteinRegion


@dataclass(frozen=True, eq=False)
class SurrogateRegion(WassersteinRegion):
    """The same points; `extremes` gives bounds of the exact values, as the set's `sharpness` and `prices` say."""

    superadditive: ClassVar[bool] = False  # the exact minimum is; where a search ends is not

    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        """Whole rows that all samples share at a few prices; all others by the smooth bound, or exactly."""
        mass = view.features(self.centre)
        if not self._own.prices or nu.shape[2:] != self.shape or not nu.shape[0] == 1 < mass.shape[0]:
            return super().extremes(nu, view)
        budget = view.samples(self.budget)[:, 0].expand(len(mass))
        ends = [self._at_prices(sign * nu[0], mass.flatten(1), budget) for sign in (-1, 1)]
        return -ends[0], ends[1]

    def _at_prices(self, rows: Tensor, mass: Tensor, budget: Tensor) -> Tensor:
        targets = functional.pad(rows, (self.moves.reach,) * 4, value=-torch.inf)
        values = ring_maxima(targets, self.moves).flatten(1, -2)
        costs = values.new_tensor([ring.cost for ring in self.moves.rings])
        return at_shared_prices(values, mass, budget, costs, self._own.prices)

    def _greatest(self, rows: Tensor, inside: Tensor, mass: Tensor, budget: Tensor) -> Tensor:
        if not self._own.sharpness:
            return super()._greatest(rows, inside, mass, budget)
        targets = torch.where(inside, rows, -torch.inf)
        images = (values.reshape(*values.shape[:2], -1, *values.shape[-2:]) for values in (targets, mass))
        return smooth_supremum(*images, budget, self.moves, self._own.sharpness)

    @property
    def _own(self) -> Any:
        return self.source
