"""Losses of bounds: the thesis' robust loss, interval bound propagation, and the mixture of both.

All are κ · loss at the samples + (1 - κ) · loss of the bound, an upper bound of the same mixture at the worst points.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

from torch import Tensor

from autodual.policies import SlopePolicy
from autodual.train.limits import Fraction, stands_at
from autodual.train.losses.base import Loss
from autodual.train.losses.batch import Batch, StatisticsPolicy, UnionPolicy
from autodual.train.losses.criteria import CriterionName, criterion


@dataclass(frozen=True)
class BoundedLoss(Loss):
    """κ · loss at the samples + (1 - κ) · loss of the margins' lower bounds.

    union: over a union of sets, the loss of each sample's worst member, or the average over the members, which is no
    bound of the worst-case loss. statistics: what batch norms that learn normalise bounds by: those of the clean
    `batch`, or the `running` ones, which that batch updates first.
    """

    kappa: Fraction = 0.0
    criterion: CriterionName = "cross-entropy"
    union: UnionPolicy = field(default="worst", kw_only=True)
    statistics: StatisticsPolicy = field(default="batch", kw_only=True)

    @abstractmethod
    def margins(self, batch: Batch) -> Tensor:
        """Lower bounds of f_y - f_j over the set, in the layout of the outputs."""

    def of(self, batch: Batch) -> Tensor:
        of_scores = criterion(self.criterion)
        if stands_at(self.kappa, 1):
            return batch.losses(of_scores, batch.clean.scores)
        bounded = batch.over_members(lambda one: one.losses(of_scores, -self.margins(one)), self.union)
        if stands_at(self.kappa, 0):
            return bounded
        return self.kappa * batch.losses(of_scores, batch.clean.scores) + (1 - self.kappa) * bounded


@dataclass(frozen=True)
class Robust(BoundedLoss):
    """The loss of the dual bound (Theorem 2); estimated by random projections if the dual network's plan says so.

    balls: whether Euclidean balls around the clean values take part, which is tighter over l2 balls.
    """

    slopes: SlopePolicy = "shared"
    balls: bool = False

    def margins(self, batch: Batch) -> Tensor:
        return batch.margins(slopes=self.slopes, balls=self.balls or None)


@dataclass(frozen=True)
class IntervalBound(BoundedLoss):
    """Interval bound propagation (Gowal et al., 2018), the last affine layers merged."""

    def margins(self, batch: Batch) -> Tensor:
        return batch.margins(inner="interval", last="interval")


@dataclass(frozen=True)
class CrownIbp(BoundedLoss):
    """β · dual bound over interval bounds inside + (1 - β) · interval bound, in the margins (Zhang et al., 2020).

    balls: as of `Robust`. Over l2 balls intervals are those of the enclosing box, so that the dual bound says little
    without them.
    """

    beta: Fraction = 1.0
    slopes: SlopePolicy = "shared"
    balls: bool = False

    def margins(self, batch: Batch) -> Tensor:
        if stands_at(self.beta, 0):
            return batch.margins(inner="interval", last="interval")
        dual = batch.margins(inner="interval", slopes=self.slopes, balls=self.balls or None)
        if stands_at(self.beta, 1):
            return dual
        return self.beta * dual + (1 - self.beta) * batch.margins(inner="interval", last="interval")
