"""What an attack achieves against a classifier."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.attacks.base import Attack, Function
from autodual.perturbations import Region
from autodual.specs import ClassMargin


@torch.no_grad()
def broken(function: Function, region: Region, labels: Tensor, attack: Attack | None) -> Tensor:
    """Where another label wins, at the sample itself or at what the attack finds.

    The share of such samples is a lower bound of the error over the whole region; without an attack the clean error.

    Args:
        function: maps `[N, *shape]` to scores `[N, K]`, sample by sample.
        region: the set, bound to N samples.
        labels: the classes that should win, `[N]`.
        attack: looks for a point where another class wins; None looks at the samples alone.

    Returns:
        bool `[N]`.

    Example:
        >>> import autodual, torch
        >>> from autodual.attacks import Pgd, broken
        >>> region = autodual.LinfBall(0.5).at(torch.tensor([[1.0, 0.8], [1.0, -1.0]]))
        >>> broken(lambda z: z, region, torch.tensor([0, 0]), Pgd(steps=5))
        tensor([ True, False])
    """
    wrong = function(region.centre).argmax(1) != labels
    if attack is None:
        return wrong
    points = attack.run(function, region, ClassMargin(labels))
    return wrong | (function(points).argmax(1) != labels)
