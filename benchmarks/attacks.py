"""CPU time of the library's PGD against the same loop written by hand, in one run.

    python benchmarks/attacks.py [--model MODEL] [--batch 100] [--repeats 5]

40 steps of cross-entropy and a random start in a clipped l∞ ball, on one thread; the ratio, the median over the
repeats, each of which times both one after the other, should be below 1.1.
"""

from __future__ import annotations

import statistics

import torch
import torch.nn.functional as functional
from measure import mnist, mnist_options, say, seconds
from torch import Tensor, nn

import autodual
from autodual.attacks import Ascent, CrossEntropy, Fixed, Sign, Uniform
from autodual.specs import ClassMargin

EPS, SIZE, STEPS = 0.1, 0.01, 40


def by_hand(model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """PGD as one writes it in PyTorch, with the worst point kept."""
    points = (x + EPS * (2 * torch.rand_like(x) - 1)).clamp(0, 1)
    worst, best = points, torch.full((len(x),), -torch.inf)
    for _ in range(STEPS + 1):
        points.requires_grad_()
        loss = functional.cross_entropy(model(points), labels, reduction="none")
        (gradient,) = torch.autograd.grad(loss.sum(), points)
        points = points.detach()
        better = loss.detach() > best
        worst, best = torch.where(better[:, None, None, None], points, worst), torch.where(better, loss.detach(), best)
        points = (x + (points + SIZE * gradient.sign() - x).clamp(-EPS, EPS)).clamp(0, 1)
    return worst


def main() -> None:
    options = mnist_options(__doc__, batch=100, repeats=5)
    model, x, labels = mnist(options)
    model.requires_grad_(False)
    attack = Ascent(Uniform(), CrossEntropy(), Sign(raw=True), Fixed(SIZE), STEPS)
    region, goal = autodual.LinfBall(EPS, (0, 1)).at(x), ClassMargin(labels)
    ratios = []
    for _ in range(options.repeats):
        ours = seconds(lambda: attack.run(model, region, goal), 1)
        ratios.append(ours / seconds(lambda: by_hand(model, x, labels), 1))
    say(f"40 steps of PGD, ours / by hand: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
