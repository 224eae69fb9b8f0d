"""The regularisers of Shi et al. (2021), which let the warm-up of interval training be short."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.perturbations import require_support
from autodual.train.limits import NonNegative, Positive, stands_at
from autodual.train.losses.base import Judgement, Loss
from autodual.train.losses.batch import Batch, StatisticsPolicy


@dataclass(frozen=True)
class Regularised(Loss):
    """loss + weight · (tightness + balance) over the bound sites' intervals.

    tightness: intervals should not grow from the input on by more than 1 / tolerance. balance: active and inactive
    units should contribute alike to centres and to radii. Schedule the weight to fall to zero as the radius grows.
    """

    loss: Loss
    weight: NonNegative = 0.5
    tolerance: Positive = 0.5

    @property
    def judged_by(self) -> Judgement:
        return self.loss.judged_by

    @property
    def normalised_by(self) -> StatisticsPolicy:
        return self.loss.normalised_by

    @property
    def single_step(self) -> bool:
        return self.loss.single_step

    def of(self, batch: Batch) -> Tensor:
        value = self.loss.of(batch)
        if stands_at(self.weight, 0):
            return value
        return value + self.weight * self._penalty(batch)

    def steps_a_batch(self) -> int:
        return self.loss.steps_a_batch()

    def carries(self, x: Tensor) -> dict[str, Tensor]:
        return self.loss.carries(x)

    def _penalty(self, batch: Batch) -> Tensor:
        enclosure = require_support(batch.ball.at(batch.x)).enclosure()
        first = 2 * enclosure.radius.mean()
        penalties: list[Tensor] = []
        for interval in batch.intervals():
            width = 2 * interval.radius.mean()
            ratios = [first / width.clamp(min=torch.finfo(width.dtype).tiny), *_balances(interval)]
            penalties.extend((self.tolerance - ratio).relu() for ratio in ratios)
        if not penalties:
            return first.new_zeros(())
        # Three penalties for each site; all sites have the same weight.
        return torch.stack(penalties).sum() / (self.tolerance * len(penalties) / 3)


def _balances(interval: Interval) -> list[Tensor]:
    """The balance of active and inactive units, in centres and in radii: 1 if equal, 0 if one kind is missing."""
    centre, radius = interval.centre, interval.radius
    active, inactive = (interval.lower > 0).to(centre.dtype), (interval.upper < 0).to(centre.dtype)
    pairs = ((active * centre, -inactive * centre), (active * radius, inactive * radius))
    found = []
    for first, second in pairs:
        one, other = first.sum(), second.sum()
        larger = one.maximum(other)
        found.append(torch.where(larger > 0, one.minimum(other) / larger.clamp(min=1e-12), torch.zeros_like(larger)))
    return found
