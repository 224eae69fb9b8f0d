"""TRADES: the loss at the samples, and how far the set's points can move the outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import torch
import torch.nn.functional as functional
from torch import Tensor

from autodual.attacks import Ascent, Attack, Customary, Fixed, Gaussian, KlToClean
from autodual.attacks.base import Function
from autodual.number_ranges import Range
from autodual.policies import IGNORED
from autodual.train.attack_view import AttackMode
from autodual.train.limits import NonNegative, Positive
from autodual.train.losses.attacked_loss import AttackedLoss
from autodual.train.losses.batch import Batch
from autodual.train.losses.criteria import by_sample, criterion


@dataclass(frozen=True)
class TradesLoss(AttackedLoss):
    """loss at x + β · KL(softmax f(x) ‖ softmax f(x')), where x' nearly maximises the divergence (Zhang et al., 2019).

    beta: β. steps, step_size, raw: of the attack, as in `PgdLoss`. deviation: of the normal noise that it begins with,
    in units of the input, for at the sample the divergence has no gradient. Batch norms learn from the samples; at x'
    they normalise by the points' own statistics.
    """

    beta: NonNegative = 6.0
    steps: Annotated[int, Range(1, 10_000)] = 10
    step_size: NonNegative = 0.25
    raw: bool = False
    deviation: Positive = 0.001
    mode: AttackMode = field(default="evaluation", kw_only=True)

    def attack(self, batch: Batch) -> Attack:
        size = Fixed(self.step_size, self.raw) if self.step_size else Fixed(2.5 / self.steps)
        return Ascent(Gaussian(self.deviation), KlToClean(), Customary(), size, self.steps, keep="last")

    def of(self, batch: Batch) -> Tensor:
        found = self.points(batch)
        clean = batch.trained(batch.x)
        with batch.seen("training") as scores:
            moved = [_divergence(batch, clean, scores(points)) for points in found]
        worst = moved[0] if len(moved) == 1 else torch.stack(moved).mean(0)
        return batch.losses(criterion(self.criterion), clean) + self.beta * worst

    def severities(self, batch: Batch, scores: Function, found: list[Tensor]) -> list[Tensor]:
        clean = scores(batch.x)
        return [_divergence(batch, clean, scores(points)) for points in found]


def _divergence(batch: Batch, clean: Tensor, moved: Tensor) -> Tensor:
    """KL(softmax of clean scores ‖ softmax of others) by sample, `[N]`, of the positions that count."""
    axis, labels = batch.dual.class_axis, batch.labels
    clean, moved = (values.movedim(axis, 1).log_softmax(1) for values in (clean, moved))
    found = functional.kl_div(moved, clean, reduction="none", log_target=True).sum(1)
    return by_sample(found.masked_fill(labels == IGNORED, 0.0), labels)
