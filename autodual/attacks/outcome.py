"""What an attack achieves against a classifier."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.attacks.base import Attack, Function
from autodual.perturbations import Region
from autodual.specs import ClassMargin


@torch.no_grad()
def broken(function: Function, region: Region, labels: Tensor, attack: Attack | None) -> Tensor:
    """Where another label than that of `labels` wins at the sample itself or at what the attack finds, bool `[N]`.

    A lower bound of the error over the whole region; without an attack the clean error.
    """
    wrong = function(region.centre).argmax(1) != labels
    if attack is None:
        return wrong
    points = attack.run(function, region, ClassMargin(labels))
    return wrong | (function(points).argmax(1) != labels)
