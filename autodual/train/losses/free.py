"""Free adversarial training: each step's backward pass also moves the perturbation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autodual.attacks import Customary, Fixed
from autodual.attacks.ascent_state import State
from autodual.perturbations import require_searchable
from autodual.train.limits import Count, Positive
from autodual.train.losses.base import Loss
from autodual.train.losses.batch import OFFSET, Batch
from autodual.train.losses.criteria import CriterionName, criterion


@dataclass(frozen=True)
class FreeLoss(Loss):
    """The loss at a perturbation that the whole run shares (Shafahi et al., 2019; thesis, Algorithm 6).

    Each batch is stepped on several times. A step takes the weights' gradient and the perturbation's from one backward
    pass, both at the old perturbation, and the next step finds the new one. It is never reset: the next batch begins
    with it, each sample with that of its place. Over a union of sets it moves in the member that gains most.

    replays: steps on each batch. T epochs are ⌈T / replays⌉ passes over the data, and schedules count replays.
    step_size: in units of the radius, or of the input if `raw`. criterion: the loss of scores.
    """

    replays: Count = 8
    step_size: Positive = 1.0
    raw: bool = False
    criterion: CriterionName = "cross-entropy"
    bounds: ClassVar[bool] = False

    def of(self, batch: Batch) -> Tensor:
        region, generator = require_searchable(batch.ball.at(batch.x)), batch.generator()
        points = region.project(batch.x + batch.offset).detach().requires_grad_()

        @torch.no_grad()
        def follow(gradient: Tensor) -> None:
            state = State(points.detach(), 1, generator)
            move = Customary().move(region, gradient.nan_to_num(0, 0, 0), state)
            batch.carry(Fixed(self.step_size, self.raw).advance(region, state, move))

        points.register_hook(follow)
        return batch.losses(criterion(self.criterion), batch.trained(points))

    @property
    def single_step(self) -> bool:
        return True  # each step of the weights follows a single one of the perturbation

    def steps_a_batch(self) -> int:
        return self.replays

    def carries(self, x: Tensor) -> dict[str, Tensor]:
        return {OFFSET: torch.zeros_like(x)}
