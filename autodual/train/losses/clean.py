"""Ordinary training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from autodual.train.losses.base import Judgement, Loss
from autodual.train.losses.batch import Batch
from autodual.train.losses.criteria import CriterionName, criterion


@dataclass(frozen=True)
class Clean(Loss):
    """The loss at the samples themselves; says nothing of the set."""

    criterion: CriterionName = "cross-entropy"
    bounds: ClassVar[bool] = False

    @property
    def judged_by(self) -> Judgement:
        return "clean"

    def of(self, batch: Batch) -> Tensor:
        return batch.losses(criterion(self.criterion), batch.clean.scores)
