"""The success of an attack against a classifier."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.attacks.base import Attack, Function, given_attack
from autodual.attacks.evaluation_mode import unchanged
from autodual.attacks.members import attack_members
from autodual.inputs import Labels
from autodual.perturbations import Searchable
from autodual.specs import ClassMargin
from autodual.tensors import flat


@torch.no_grad()
def broken(
    function: Function, region: Searchable, labels: Labels, attack: Attack | None, class_axis: int = 1
) -> Tensor:
    """Which samples are misclassified, at the sample itself or at the point that the attack finds.

    Their share is a lower bound of the robust error over the region; without an attack it is the clean error.

    Args:
        function: maps `[N, *shape]` to scores `[N, C, *positions]`, sample by sample.
        region: the set, placed around N samples.
        labels: the true classes `[N]`, or label maps `[N, *positions]`, -100 where any class will do.
        attack: searches for a point where another class wins; None checks the samples alone.
        class_axis: which axis of the scores holds the classes.

    Returns:
        bool `[N]`; of label maps, whether another class wins at any position.

    Example:
        >>> import autodual, torch
        >>> from autodual.attacks import Pgd, broken
        >>> region = autodual.LinfBall(0.5).at(torch.tensor([[1.0, 0.8], [1.0, -1.0]]))
        >>> broken(lambda z: z, region, torch.tensor([0, 0]), Pgd(steps=5))
        tensor([ True, False])
    """
    goal = ClassMargin(labels, class_axis)
    with unchanged(function):
        goal.label_map.check(outputs := function(region.centre))
        wrong = flat(goal.misses(outputs)).any(1)
        if attack is None:
            return wrong
        points = attack_members(given_attack(attack), function, region, goal)
        missed = flat(goal.misses(function(points))).any(1)
    return wrong | region.contains_where(missed & ~wrong, points)
