"""Ordinary training, and training on points that an attack finds."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from autodual.attacks import Pgd
from autodual.train.losses.base import Loss
from autodual.train.losses.batch import Batch
from autodual.train.losses.criteria import criterion


@dataclass(frozen=True)
class Clean(Loss):
    """The loss at the samples themselves; says nothing of the set."""

    criterion: str = "cross-entropy"

    def of(self, batch: Batch) -> Tensor:
        return criterion(self.criterion)(batch.clean.scores, batch.labels)


@dataclass(frozen=True)
class Adversarial(Loss):
    """The loss at the worst points that projected gradient descent finds (Madry et al., 2018): a lower bound of the
    worst-case loss.

    steps, restarts: of the attack; step_size: in units of the radius, 2.5 / steps if 0.
    """

    steps: int = 10
    restarts: int = 1
    step_size: float = 0.0
    criterion: str = "cross-entropy"

    def of(self, batch: Batch) -> Tensor:
        attack = Pgd(self.steps, self.step_size or None, self.restarts)
        points = batch.attacked(attack, batch.ball)
        return criterion(self.criterion)(batch.scores(points), batch.labels)
