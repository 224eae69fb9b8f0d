"""What an attack that aims at classes has to refute."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.specs import HalfSpaces


def avoided(targets: Tensor, classes: int) -> HalfSpaces:
    """Some other class than the sample's target has a larger output: refuted where the target wins.

    Args:
        targets: one class for each sample, int64 `[N]`.
        classes: how many there are.
    """
    unit = torch.eye(classes, device=targets.device)
    others = torch.arange(classes - 1, device=targets.device)
    others = others + (others >= targets[:, None])
    matrix = unit[others] - unit[targets][:, None]
    return HalfSpaces(matrix, torch.zeros(classes - 1), [range(classes - 1)])
