"""Interval bounds beside an attack: over a small set around its points, or mixed with the loss at them.

Neither bounds the worst-case loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from torch import Tensor

from autodual.attacks import Pgd
from autodual.number_ranges import Range
from autodual.perturbations import PerturbationSet
from autodual.train.limits import Fraction, NonNegative
from autodual.train.losses.attacked_loss import StartName
from autodual.train.losses.base import Loss
from autodual.train.losses.batch import Batch, StatisticsPolicy, UnionPolicy
from autodual.train.losses.bounded import IntervalBound
from autodual.train.losses.criteria import CriterionName, criterion


@dataclass(frozen=True)
class AttackingBound(Loss):
    """A loss of bounds that runs projected gradient descent first, everything normalised by the clean batch.

    steps, restarts: of the attack. step_size: in units of the radius; 0 stands for 2.5 / steps. start: where its first
    run begins. union: over a union of sets, the loss of each sample's worst member, or the average over the members,
    each with an attack of its own. statistics: as of `BoundedLoss`, for bounds and attacks.
    """

    steps: Annotated[int, Range(1, 10_000)] = 8
    restarts: Annotated[int, Range(1, 10_000)] = 1
    step_size: NonNegative = 0.0
    criterion: CriterionName = "cross-entropy"
    start: StartName = field(default="zero", kw_only=True)
    union: UnionPolicy = field(default="worst", kw_only=True)
    statistics: StatisticsPolicy = field(default="batch", kw_only=True)

    def attacked(self, batch: Batch, ball: PerturbationSet) -> Tensor:
        """The worst points `[N, *shape]` that the attack finds in a set around the samples."""
        return batch.attacked(Pgd(self.steps, self.step_size or None, self.restarts, start=self.start), ball)


@dataclass(frozen=True)
class SmallBoxes(AttackingBound):
    """SABR (Müller et al., 2023): interval bounds over a small set around an adversarial point.

    The attack searches the set scaled by 1 - fraction; the bounds are over the set scaled by `fraction` around what it
    finds. By the triangle inequality that lies within the whole set.
    """

    fraction: Fraction = 0.4
    kappa: Fraction = 0.0

    def of(self, batch: Batch) -> Tensor:
        bound = IntervalBound(kappa=self.kappa, criterion=self.criterion)

        def loss(one: Batch) -> Tensor:
            points = self.attacked(one, one.ball.scaled(1 - self.fraction))
            return bound.of(one.around(points, one.ball.scaled(self.fraction)))

        return batch.over_members(loss, self.union)


@dataclass(frozen=True)
class MtlIbp(AttackingBound):
    """MTL-IBP (De Palma et al., 2024): (1 - α) · loss at adversarial points + α · loss of the interval bound."""

    alpha: Fraction = 0.5

    def of(self, batch: Batch) -> Tensor:
        bound = IntervalBound(criterion=self.criterion, union=self.union)
        if self.alpha == 1:
            return bound.of(batch)
        attacked = batch.over_members(self._at_points, self.union)
        return attacked if self.alpha == 0 else (1 - self.alpha) * attacked + self.alpha * bound.of(batch)

    def _at_points(self, batch: Batch) -> Tensor:
        return batch.losses(criterion(self.criterion), batch.scores(self.attacked(batch, batch.ball)))
