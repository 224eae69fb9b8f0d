"""Losses at points that an attack finds, alone or combined with interval bounds.

None of them bounds the worst-case loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from torch import Tensor

from autodual.attacks import Msd, Pgd
from autodual.number_ranges import Range
from autodual.perturbations import PerturbationSet
from autodual.train.limits import Fraction, NonNegative
from autodual.train.losses.base import Loss
from autodual.train.losses.batch import Batch, UnionPolicy
from autodual.train.losses.bounded import IntervalBound
from autodual.train.losses.criteria import CriterionName, criterion


@dataclass(frozen=True)
class AttackingLoss(Loss):
    """A loss that runs projected gradient descent first.

    steps, restarts: of the attack. step_size: in units of the radius; 0 stands for 2.5 / steps. union: over a union of
    sets, the loss of each sample's worst member, or the average over the members, each with an attack of its own.
    """

    steps: Annotated[int, Range(1, 10_000)] = 8
    restarts: Annotated[int, Range(1, 10_000)] = 1
    step_size: NonNegative = 0.0
    criterion: CriterionName = "cross-entropy"
    union: UnionPolicy = field(default="worst", kw_only=True)

    def attacked(self, batch: Batch, ball: PerturbationSet) -> Tensor:
        """The worst points `[N, *shape]` that the attack finds in a set around the samples."""
        return batch.attacked(Pgd(self.steps, self.step_size or None, self.restarts), ball)

    def at_attacked(self, batch: Batch) -> Tensor:
        """Losses `[N]` at the worst points of the batch's own set."""

        def loss(one: Batch) -> Tensor:
            return one.losses(criterion(self.criterion), one.scores(self.attacked(one, one.ball)))

        return batch.over_members(loss, self.union)


@dataclass(frozen=True)
class Adversarial(AttackingLoss):
    """The loss at the worst points that are found (Madry et al., 2018): a lower bound of the worst-case loss."""

    def of(self, batch: Batch) -> Tensor:
        return self.at_attacked(batch)


@dataclass(frozen=True)
class MultiSteepest(AttackingLoss):
    """The loss at the points that multi steepest descent finds in a union (Maini et al., 2020; thesis, Algorithm 9)."""

    union: Literal["worst"] = field(default="worst", kw_only=True)  # one attack for the whole union

    def of(self, batch: Batch) -> Tensor:
        points = batch.attacked(Msd(self.steps, self.step_size or None, self.restarts), batch.ball)
        return batch.losses(criterion(self.criterion), batch.scores(points))


@dataclass(frozen=True)
class SmallBoxes(AttackingLoss):
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
class MtlIbp(AttackingLoss):
    """MTL-IBP (De Palma et al., 2024): (1 - α) · loss at adversarial points + α · loss of the interval bound."""

    alpha: Fraction = 0.5

    def of(self, batch: Batch) -> Tensor:
        bound = IntervalBound(criterion=self.criterion, union=self.union)
        if self.alpha == 1:
            return bound.of(batch)
        if self.alpha == 0:
            return self.at_attacked(batch)
        return (1 - self.alpha) * self.at_attacked(batch) + self.alpha * bound.of(batch)
