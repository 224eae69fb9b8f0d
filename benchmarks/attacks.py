"""CPU time of the library's PGD, compared in one run with the same loops written by hand.

    python benchmarks/attacks.py [--model MODEL] [--batch 100] [--repeats 15]

40 steps on cross-entropy in clipped l∞, l2 and l1 balls, keeping the worst point, on one thread. The ratio of the
shortest times should be at most 1.1. All are run in turn, so that other programs slow down all alike.

The library projects onto ball and domain together. By hand that is bisection in balls of finite order; `clipping` loops
shrink into the ball and then clip, which leaves the points short of its edge.
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
#: Halvings of [0, 1], down to the precision of float32.
BISECTIONS = 22

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


def by_bisection(offset: Tensor, low: Tensor, high: Tensor, radius: float, order: int) -> Tensor:
    """The projection onto ball and box together, `[N, n]`: by the multiplier (p = 2) or the threshold (p = 1)."""

    def at(place: Tensor) -> Tensor:
        shrunk = offset * (1 - place) if order == 2 else offset - offset.clamp(-place, place)
        return torch.maximum(torch.minimum(shrunk, high), low)

    least, most = torch.zeros(len(offset), 1), torch.ones(len(offset), 1)
    for _ in range(BISECTIONS):
        middle = (least + most) / 2
        inside = at(middle).norm(order, dim=1, keepdim=True) <= radius
        least, most = torch.where(inside, least, middle), torch.where(inside, middle, most)
    return torch.where(at(torch.zeros_like(most)).norm(order, dim=1, keepdim=True) <= radius, at(0 * most), at(most))


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
        works = {"ours": ours, "by hand": hand}
        if name != "linf":
            low, high = (-x).flatten(1), (1 - x).flatten(1)
            exact = partial(by_bisection, low=low, high=high, radius=radius, order=int(name[1]))
            works = {"ours": ours, "by hand": partial(by_hand, model, x, labels, size, move, exact), "clipping": hand}
        times = {key: [seconds(work, 1, warm=False)] for key, work in works.items()}
        for _ in range(options.repeats - 1):
            for key, work in works.items():
                times[key].append(seconds(work, 1, warm=False))
        for key in list(works)[1:]:
            ratio = min(times["ours"]) / min(times[key])
            say(f"{STEPS} steps of PGD in a clipped {name} ball, ours / {key}: {ratio:.3f}")


if __name__ == "__main__":
    main()
