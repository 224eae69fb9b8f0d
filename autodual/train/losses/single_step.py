"""Adversarial training on attacks of a single step: two passes forwards and backwards a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from autodual.attacks import Ascent, Attack, CrossEntropy, Customary, Fixed, Hypercube, Previous, Start, Uniform
from autodual.attacks.objectives import objective_named
from autodual.attacks.starts import start_named
from autodual.errors import InvalidInputError
from autodual.perturbations import PerturbationSet
from autodual.train.limits import Positive
from autodual.train.losses.attacked_loss import AttackedLoss, ObjectiveName, StartName
from autodual.train.losses.batch import OFFSET, Batch

#: The names of starts of a single step.
FirstName = Literal[StartName, "previous", "uncut", "uncut-hypercube"]
_UNCUT: dict[str, Start] = {"uncut": Uniform(cut=False), "uncut-hypercube": Hypercube(cut=False)}


@dataclass(frozen=True)
class FgsmLoss(AttackedLoss):
    """The loss after one step along the gradient (Goodfellow et al., 2015), from a random start unless told otherwise
    (Wong et al., 2020; thesis, Algorithm 7).

    step_size: in units of the radius, or of the input if `raw`; where a long step leaves the set, it ends at the
    nearest point of it. start: where the step begins; `previous` is the last batch's perturbation, by place in the
    batch; `uncut` is `uniform`, and `uncut-hypercube` is `hypercube`, but for starts outside the domain, which are not
    brought inside before the step: where many features lie at an end of the domain, half of these would otherwise
    start from where they are. objective: what is raised.
    """

    step_size: Positive = 1.25
    raw: bool = False
    start: FirstName = "uniform"
    objective: ObjectiveName = "cross-entropy"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start == "previous" and self.union == "average":
            raise InvalidInputError(
                "the start 'previous' carries one perturbation on, but the average of a union's members has several: "
                "take union = 'worst' or another start"
            )

    def attack(self, batch: Batch) -> Attack:
        size = Fixed(self.step_size, self.raw)
        if self.start == "previous":
            start: Start = Previous(batch.offset)
        else:
            start = _UNCUT.get(self.start) or start_named(self.start)
        return Ascent(start, objective_named(self.objective), Customary(), size, steps=1, keep="last")

    def carries(self, x: Tensor) -> dict[str, Tensor]:
        return {OFFSET: torch.zeros_like(x)} if self.start == "previous" else {}


@dataclass(frozen=True)
class RFgsmLoss(FgsmLoss):
    """R+FGSM (Tramèr et al., 2018): a random corner of half the radius, then a step of half the radius."""

    step_size: Positive = 0.5
    start: FirstName = "hypercube"


@dataclass(frozen=True)
class NFgsmLoss(AttackedLoss):
    """N-FGSM (de Jorge et al., 2022): one step from strong noise, and no way back into the set.

    noise: the radius of the ball in which it is drawn, in units of the radius, as is `step_size`. Their sum is cut down
    to the domain only, so that points lie up to noise + step_size radii away.
    """

    noise: Positive = 2.0
    step_size: Positive = 1.0

    def attack(self, batch: Batch) -> Attack:
        whole = self.noise + self.step_size
        start, size = Uniform(self.noise / whole), Fixed(self.step_size / whole)
        return Ascent(start, CrossEntropy(), Customary(), size, steps=1, keep="last")

    def searched(self, ball: PerturbationSet) -> PerturbationSet:
        return ball.scaled(self.noise + self.step_size)
