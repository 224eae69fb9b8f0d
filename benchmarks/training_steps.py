"""The cost of a training step by loss; some losses are compared with versions written by hand in PyTorch.

    python benchmarks/training_steps.py [--model MODEL] [--batch 50] [--repeats 7]

Process-CPU time of one thread in C per image, float32, l∞ radius 0.1 in [0, 1] (interval bounds: unclipped); ratios are
medians over repeats; each repeat times both versions one after the other. Ratios should be below 1.1.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as functional
from measure import calibration, mnist, mnist_options, save, say
from torch import Tensor, nn

import autodual
from autodual.passes import RandomProjection, default_pipeline
from autodual.train.losses import CrownIbp, FgsmLoss, FreeLoss, IntervalBound, Loss, PgdLoss, Robust, TradesLoss

RADIUS = 0.1
PGD_STEPS = 7
LOSSES: dict[str, Loss] = {
    "interval bounds": IntervalBound(),
    "intervals inside, dual at the end": CrownIbp(beta=1.0),
    "the same, half and half with intervals": CrownIbp(beta=0.5),
    "exact dual bounds": Robust(),
}
ATTACKED: dict[str, Loss] = {
    "FGSM": FgsmLoss(),
    "PGD": PgdLoss(PGD_STEPS, 0.25),
    "free": FreeLoss(),
    "TRADES": TradesLoss(steps=PGD_STEPS),
}


def interval_by_hand(model: nn.Sequential, x: Tensor, labels: Tensor, radius: Tensor) -> Tensor:
    """The interval loss in plain PyTorch, with centre and radius, and the last layer merged with the margins.

    Batch norms by their running statistics.
    """
    centre, (*layers, last) = x, model
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            spread = functional.conv2d(radius, layer.weight.abs(), None, layer.stride, layer.padding)
            centre, radius = layer(centre), spread
        elif isinstance(layer, nn.Linear):
            centre, radius = layer(centre), functional.linear(radius, layer.weight.abs())
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert layer.running_var is not None
            scale = (layer.weight * (layer.running_var + layer.eps).rsqrt()).abs()
            centre, radius = layer(centre), radius * scale.view(1, -1, *[1] * (radius.dim() - 2))
        elif isinstance(layer, nn.ReLU):
            lower, upper = (centre - radius).relu(), (centre + radius).relu()
            centre, radius = (lower + upper) / 2, (upper - lower) / 2
        else:
            centre, radius = layer(centre), layer(radius)
    assert isinstance(last, nn.Linear)
    rows = last.weight[labels].unsqueeze(1) - last.weight
    margins = (rows @ centre.unsqueeze(2) - rows.abs() @ radius.unsqueeze(2)).squeeze(2)
    return functional.cross_entropy(-(margins + last.bias[labels].unsqueeze(1) - last.bias), labels)


def ascended(x: Tensor, points: Tensor, step: float, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """One sign step, clipped to the ball and the domain."""
    points = points.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(points), points)
    return (x + (points.detach() + step * gradient.sign() - x).clamp(-RADIUS, RADIUS)).clamp(0, 1)


def pgd_by_hand(model: nn.Module, x: Tensor, labels: Tensor, steps: int, step: float) -> Tensor:
    """The loss after projected gradient ascent from a random start; with one step this is FGSM."""
    points = (x + RADIUS * (2 * torch.rand_like(x) - 1)).clamp(0, 1)
    for _ in range(steps):
        points = ascended(x, points, step * RADIUS, lambda z: functional.cross_entropy(model(z), labels))
    return functional.cross_entropy(model(points), labels)


def free_by_hand(model: nn.Module, x: Tensor, labels: Tensor, offset: Tensor) -> Tensor:
    """One replay of free training; its backward pass also updates the perturbation."""
    points = (x + offset).clamp(0, 1).requires_grad_()
    loss = functional.cross_entropy(model(points), labels)
    loss.backward()
    assert points.grad is not None
    moved = (points.detach() + RADIUS * points.grad.sign() - x).clamp(-RADIUS, RADIUS)
    offset.copy_((x + moved).clamp(0, 1) - x)
    return loss.detach().requires_grad_()


def trades_by_hand(model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """TRADES from a Gaussian start, with β = 6."""
    with torch.no_grad():
        nominal = model(x).softmax(1)
    points = (x + 0.001 * torch.randn_like(x)).clamp(0, 1)
    for _ in range(PGD_STEPS):
        divergence = lambda z: functional.kl_div(model(z).log_softmax(1), nominal, reduction="sum")  # noqa: E731
        points = ascended(x, points, 0.25 * RADIUS, divergence)
    clean, moved = model(x), model(points)
    divergence = functional.kl_div(moved.log_softmax(1), clean.softmax(1), reduction="batchmean")
    return functional.cross_entropy(clean, labels) + 6 * divergence


def step(model: nn.Module, loss: Callable[[], Tensor]) -> float:
    """CPU seconds of a forward and backward pass."""
    start = time.process_time()
    model.zero_grad()
    loss().backward()
    return time.process_time() - start


def main() -> None:
    options = mnist_options(__doc__, batch=50, repeats=7)
    model, x, labels = mnist(options)
    assert isinstance(model, nn.Sequential)
    dual, ball = autodual.compile_dual(model, x[:1]).train(), autodual.LinfBall(RADIUS)
    box, carried, offset = autodual.LinfBall(RADIUS, (0, 1)), dict[str, Tensor](), torch.zeros_like(x)
    works: dict[str, Callable[[], Tensor]] = {
        "interval bounds by hand": lambda: interval_by_hand(model, x, labels, torch.full_like(x, RADIUS)),
        "FGSM by hand": lambda: pgd_by_hand(model, x, labels, 1, 1.25),
        "PGD by hand": lambda: pgd_by_hand(model, x, labels, PGD_STEPS, 0.25),
        "free by hand": lambda: free_by_hand(model, x, labels, offset),
        "TRADES by hand": lambda: trades_by_hand(model, x, labels),
    }
    works |= {name: (lambda loss=loss: loss(dual, x, labels, ball)) for name, loss in LOSSES.items()}  # type: ignore[misc]
    projected = autodual.compile_dual(model, x[:1], passes=[*default_pipeline(), RandomProjection(50)]).train()
    works["dual bounds from 50 projections"] = lambda: Robust()(projected, x, labels, ball)
    works |= {
        name: (lambda loss=loss: loss(dual, x, labels, box, carried=carried))  # type: ignore[misc]
        for name, loss in ATTACKED.items()
    }
    for work in works.values():
        step(model, work)
    found: dict[str, list[float]] = {name: [] for name in works}
    units = []
    for _ in range(options.repeats):
        start = time.process_time()
        calibration()
        units.append(time.process_time() - start)
        for name in sorted(works):  # both versions of a loss one after the other
            found[name].append(step(model, works[name]))
    unit = statistics.median(units)
    costs = {name: statistics.median(times) / unit / len(x) for name, times in found.items()}
    ratios = {
        name: statistics.median(ours / theirs for ours, theirs in zip(found[name], found[f"{name} by hand"]))
        for name in works
        if f"{name} by hand" in works
    }
    for name, cost in costs.items():
        say(f"{name}: {cost:.4f} C an image")
    for name, ratio in ratios.items():
        say(f"{name}, ours / by hand: {ratio:.3f}")
    saved = {"batch": len(x), "model": options.model.name, "costs": costs, "ratios": ratios, "C": unit}
    save("training_steps", saved)


if __name__ == "__main__":
    main()
