"""Mixup: batches of weighted means of two samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autodual.train.augmentation.base import Augmentation
from autodual.train.limits import Positive
from autodual.train.mixed_labels import MixedLabels


@dataclass(frozen=True)
class Mixup(Augmentation):
    """Each sample becomes λx + (1 - λ)x', x' another sample of its batch, and its loss λ · loss of x's label + (1 - λ)
    · loss of the label of x' (Zhang et al., 2018). Attacks raise that loss. λ ~ Beta(α, α), one for each batch.
    """

    alpha: Positive = 1.4
    mixes: ClassVar[bool] = True

    def __call__(self, x: Tensor, labels: Tensor | MixedLabels) -> tuple[Tensor, MixedLabels]:
        share = float(torch.distributions.Beta(self.alpha, self.alpha).sample())
        order = torch.randperm(len(x)).to(x.device)
        return share * x + (1 - share) * x[order], MixedLabels.of(labels).mixed(share, order)
