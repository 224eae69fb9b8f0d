"""CPU time of the library's PGD, compared in one run with the same loops written by hand.

    python benchmarks/attacks.py [--model MODEL] [--batch 100] [--repeats 15]

40 steps on cross-entropy in clipped l∞, l2 and l1 balls, keeping the worst point, on one thread. The ratio of the
shortest times should be at most 1.1. Both are run in turn, so that other programs slow down both alike.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as functional
from measure import mnist, mnist_options, say, seconds
from torch import Tensor, nn

import autodual
from autodual.attacks import Ascent, CrossEntropy, Euclidean, Fixed, Sign, SparseL1, Uniform
from autodual.perturbations import NormBall
from autodual.specs import ClassMargin

STEPS = 40
FEATURES = 20

#: Moves of size 1 and projections onto the ball, for `[N, n]`, written in plain PyTorch.
Move = Callable[[Tensor], Tensor]
Project = Callable[[Tensor], Tensor]


def by_hand(model: nn.Module, x: Tensor, labels: Tensor, size: float, move: Move, project: Project) -> Tensor:
    """PGD in plain PyTorch, keeping the worst point."""
    points = (x + size * torch.randn_like(x)).clamp(0, 1)
    worst, best = points, torch.full((len(x),), -torch.inf)
    for _ in range(STEPS + 1):
        points.requires_grad_()
        loss = functional.cross_entropy(model(points), labels, reduction="none")
        (gradient,) = torch.autograd.grad(loss.sum(), points)
        points = points.detach()
        better = loss.detach() > best
        worst, best = torch.where(better[:, None, None, None], points, worst), torch.where(better, loss.detach(), best)
        offset = points + size * move(gradient.flatten(1)).view_as(x) - x
        points = (x + project(offset.flatten(1)).view_as(x)).clamp(0, 1)
    return worst


def unit(gradient: Tensor) -> Tensor:
    return gradient / gradient.norm(dim=1, keepdim=True).clamp(min=1e-12)


def sparse(gradient: Tensor) -> Tensor:
    largest = gradient.abs().topk(FEATURES, 1).indices
    return torch.zeros_like(gradient).scatter(1, largest, gradient.gather(1, largest).sign() / FEATURES)


def within(offset: Tensor, radius: float) -> Tensor:
    return offset.clamp(-radius, radius)


def shortened(offset: Tensor, radius: float) -> Tensor:
    return offset * (radius / offset.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1)


def thresholded(offset: Tensor, radius: float) -> Tensor:
    """The projection onto an l1 ball by sorting."""
    size = offset.abs()
    ordered = size.sort(1, descending=True).values
    means = (ordered.cumsum(1) - radius) / torch.arange(1, size.shape[1] + 1)
    last = (ordered > means).sum(1, keepdim=True) - 1
    return offset.sign() * (size - means.gather(1, last).clamp(min=0)).clamp(min=0)


CASES: dict[str, tuple[type[NormBall], float, float, Ascent, Move, Callable[..., Tensor]]] = {
    "linf": (autodual.LinfBall, 0.1, 0.01, Ascent(step=Sign(raw=True)), torch.sign, within),
    "l2": (autodual.L2Ball, 1.58, 0.1, Ascent(step=Euclidean(raw=True)), unit, shortened),
    "l1": (autodual.L1Ball, 10.0, 1.0, Ascent(step=SparseL1(FEATURES, FEATURES)), sparse, thresholded),
}


def main() -> None:
    options = mnist_options(__doc__, batch=100, repeats=15)
    model, x, labels = mnist(options)
    model.requires_grad_(False)
    goal = ClassMargin(labels)
    for name, (ball, radius, size, parts, move, project) in CASES.items():
        length = size / radius if name == "l1" else size
        attack = Ascent(Uniform(), CrossEntropy(), parts.step, Fixed(length), STEPS)
        region = ball(radius, (0, 1)).at(x)
        hand = partial(by_hand, model, x, labels, size, move, partial(project, radius=radius))
        ours = partial(attack.run, model, region, goal)
        times = [(seconds(ours, 1, warm=False), seconds(hand, 1, warm=False)) for _ in range(options.repeats)]
        ratio = min(first for first, _ in times) / min(second for _, second in times)
        say(f"{STEPS} steps of PGD in a clipped {name} ball, ours / by hand: {ratio:.3f}")


if __name__ == "__main__":
    main()
