"""Losses between adversarial training and interval bounds; they bound nothing, and train networks that certify well."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from autodual.attacks import Pgd
from autodual.train.losses.base import Loss
from autodual.train.losses.batch import Batch
from autodual.train.losses.bounded import IntervalBound
from autodual.train.losses.clean import Adversarial


@dataclass(frozen=True)
class SmallBoxes(Loss):
    """SABR (Müller et al., 2023): interval bounds over a small set around the worst point of the rest.

    An attack searches the set shrunk to 1 - fraction; around what it finds lies the set shrunk to `fraction`. Both
    together stay within the whole set, by the triangle inequality.
    """

    fraction: float = 0.4
    steps: int = 8
    restarts: int = 1
    step_size: float = 0.0
    kappa: float = 0.0
    criterion: str = "cross-entropy"

    def of(self, batch: Batch) -> Tensor:
        attack = Pgd(self.steps, self.step_size or None, self.restarts)
        points = batch.attacked(attack, batch.ball.scaled(1 - self.fraction))
        bound = IntervalBound(kappa=self.kappa, criterion=self.criterion)
        return bound.of(batch.around(points, batch.ball.scaled(self.fraction)))


@dataclass(frozen=True)
class MtlIbp(Loss):
    """MTL-IBP (De Palma et al., 2024): (1 - α) · loss at adversarial points + α · loss of the interval bound."""

    alpha: float = 0.5
    steps: int = 8
    restarts: int = 1
    step_size: float = 0.0
    criterion: str = "cross-entropy"

    def of(self, batch: Batch) -> Tensor:
        bound = IntervalBound(criterion=self.criterion)
        if self.alpha == 1:
            return bound.of(batch)
        attacked = Adversarial(self.steps, self.restarts, self.step_size, self.criterion)
        if self.alpha == 0:
            return attacked.of(batch)
        return (1 - self.alpha) * attacked.of(batch) + self.alpha * bound.of(batch)
