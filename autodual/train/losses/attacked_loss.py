"""Adversarial training: the loss at points that an attack finds, which is a lower bound of the worst-case loss.

Each of these losses is an attack and a way to train on its points. No pass is run that the arithmetic does not need: an
attack of N steps costs N passes forwards and backwards, training on its points one more.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from autodual.attacks import Attack
from autodual.attacks.base import Function
from autodual.perturbations import PerturbationSet
from autodual.train.attack_view import AttackMode
from autodual.train.losses.base import Loss
from autodual.train.losses.batch import OFFSET, Batch, UnionPolicy
from autodual.train.losses.criteria import CriterionName, criterion

#: The names of starts that need nothing else.
StartName = Literal["zero", "uniform", "hypercube", "gaussian", "scattered", "outward"]
#: The names of what an attack raises.
ObjectiveName = Literal["cross-entropy", "margin", "dlr", "targeted", "targeted-dlr", "kl"]


@dataclass(frozen=True)
class AttackedLoss(Loss):
    """The loss at the points of an attack. The pass at them is the one that trains, and that batch norms learn from.

    criterion: the loss of scores. union: over a union of sets, the loss of each sample's worst member, or the average
    over the members, each with an attack of its own. mode: how the attack sees the network, in `training` mode, as it
    is (batch norms by the statistics of the attacked batch), or in `evaluation` mode, as inference will run it.
    """

    criterion: CriterionName = field(default="cross-entropy", kw_only=True)
    union: UnionPolicy = field(default="worst", kw_only=True)
    mode: AttackMode = field(default="training", kw_only=True)
    bounds: ClassVar[bool] = False

    @property
    def single_step(self) -> bool:
        return getattr(self, "steps", 1) == 1  # attacks of several steps have a field for their number

    @abstractmethod
    def attack(self, batch: Batch) -> Attack:
        """The attack on this batch."""

    def searched(self, ball: PerturbationSet) -> PerturbationSet:
        """The set that the attack searches."""
        return ball

    def of(self, batch: Batch) -> Tensor:
        found = self.points(batch)
        if OFFSET in batch.carried:
            batch.carry(found[0])
        scores = batch.trained(found[0] if len(found) == 1 else torch.cat(found)).split(len(batch.x))
        losses = [batch.losses(criterion(self.criterion), one) for one in scores]
        return losses[0] if len(losses) == 1 else torch.stack(losses).mean(0)

    def points(self, batch: Batch) -> list[Tensor]:
        """The points `[N, *shape]` to train on: one for each sample, or of an average one for each member too."""
        attack = self.attack(batch)
        members = (batch.ball,) if attack.joint else batch.ball.members()
        found = [batch.attacked(attack, self.searched(member), self.mode) for member in members]
        if len(found) == 1 or self.union == "average":
            return found
        with batch.seen(self.mode) as scores, torch.no_grad():
            losses = self.severities(batch, scores, found)
        worst = torch.stack(losses).argmax(0)
        return [torch.stack(found)[worst, torch.arange(len(worst), device=worst.device)]]

    def severities(self, batch: Batch, scores: Function, found: list[Tensor]) -> list[Tensor]:
        """How bad the points of each member of a union are, `[N]`; each sample is trained on its worst."""
        return [batch.losses(criterion(self.criterion), scores(points)) for points in found]
