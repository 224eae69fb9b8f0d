"""How far Wasserstein balls around images may grow until something no longer holds, for many images at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

import autodual
from autodual.attacks import FrankWolfe, ProjectedSinkhorn
from autodual.attacks.ascent import Ascent
from autodual.attacks.growth import Growth
from autodual.specs import ClassMargin

#: Steps at each radius, the first radius, the growth and the number of radii (Section 5.2: MNIST, CIFAR-10).
SCHEDULES = {"mnist": (10, 0.3, 1.1, 20), "cifar10": (10, 0.001, 1.17, 40)}
#: Attacks that leave an image alone once it is broken. Section 5.2 has λ = 1000 for MNIST, 3000 for CIFAR-10.
ATTACKS: dict[str, Ascent] = {
    name: replace(attack.ascent, keep="first")
    for name, attack in (
        ("frank-wolfe", FrankWolfe(share=0.3)),
        ("sinkhorn", ProjectedSinkhorn()),
        ("sinkhorn-3000", ProjectedSinkhorn(strength=3000)),
    )
}

#: Whether something holds, `[n]`, for the images with the indices `[n]`, at these of the radii, counted from 1.
Holds = Callable[[Tensor, Tensor], Tensor]


def holding(holds: Holds, images: int, count: int) -> Tensor:
    """How many of `count` growing radii each image holds at, `[images]`: what holds at one holds at all smaller ones.

    By halving, so that each image is asked about a few radii. If what is asked only *mostly* holds at smaller radii,
    as bounds do, then at the last radius that is counted it held, and at the next one it did not.
    """
    low, high = torch.zeros(images, dtype=torch.long), torch.full((images,), count + 1)
    while len(index := (high - low > 1).nonzero().squeeze(1)):
        middle = (low[index] + high[index]) // 2
        found = holds(index, middle)
        low[index], high[index] = torch.where(found, middle, low[index]), torch.where(found, high[index], middle)
    return low


def schedule(name: str) -> list[float]:
    """The radii of a schedule."""
    _, first, factor, count = SCHEDULES[name]
    return [first * factor**number for number in range(count)]


def unbroken(
    network: nn.Module, x: Tensor, labels: Tensor, ball: autodual.WassersteinBall, attack: Ascent, name: str
) -> Tensor:
    """At how many radii of a schedule each image resists one attack that goes on in ever larger balls, `[N]`.

    An image that the network misclassifies resists at none, and counts -1. All points are checked by linear programs.

    Args:
        network: whose outputs are scores.
        x: images `[N, channels, H, W]`.
        labels: `[N]`.
        ball: of any radius.
        attack: one of `ATTACKS`.
        name: of the schedule.
    """
    every, _, factor, count = SCHEDULES[name]
    radii, found = torch.tensor(schedule(name)), torch.full_like(labels, -1)
    right = (network(x).argmax(1) == labels).nonzero().squeeze(1)
    if not len(right):
        return found
    x, labels = x[right], labels[right]
    attack = replace(attack, steps=every * count, growth=Growth(factor, every))
    points = attack.run(network, replace(ball, eps=float(radii[-1])).at(x), ClassMargin(labels))
    broken = (network(points).argmax(1) != labels).nonzero().squeeze(1)

    def outside(index: Tensor, number: Tensor) -> Tensor:
        chosen = broken[index]
        return ~replace(ball, eps=radii[number - 1]).at(x[chosen]).contains(points[chosen])

    resisted = torch.full_like(labels, count)
    resisted[broken] = holding(outside, len(broken), count)
    found[right] = resisted
    return found
