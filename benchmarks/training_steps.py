"""The cost of a training step by loss, and of interval training against a version written by hand in PyTorch.

    python benchmarks/training_steps.py [--model MODEL] [--batch 50] [--repeats 7]

Process-CPU time of one thread in C per image, float32, l∞ radius 0.1; ratios are medians over repeats, each of which
times both versions one after the other.
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
from autodual.train.losses import CrownIbp, IntervalBound, Loss, Robust

RADIUS = 0.1
LOSSES: dict[str, Loss] = {
    "interval bounds": IntervalBound(),
    "intervals inside, dual at the end": CrownIbp(beta=1.0),
    "the same, half and half with intervals": CrownIbp(beta=0.5),
    "exact dual bounds": Robust(),
}


def by_hand(model: nn.Sequential, x: Tensor, labels: Tensor) -> Tensor:
    """The interval loss in plain PyTorch, with centre and radius, and the last layer merged with the margins."""
    centre, radius = x, torch.full_like(x, RADIUS)
    *layers, last = model
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            spread = functional.conv2d(radius, layer.weight.abs(), None, layer.stride, layer.padding)
            centre, radius = layer(centre), spread
        elif isinstance(layer, nn.Linear):
            centre, radius = layer(centre), functional.linear(radius, layer.weight.abs())
        elif isinstance(layer, nn.ReLU):
            lower, upper = (centre - radius).relu(), (centre + radius).relu()
            centre, radius = (lower + upper) / 2, (upper - lower) / 2
        else:
            centre, radius = layer(centre), layer(radius)
    assert isinstance(last, nn.Linear)
    rows = last.weight[labels].unsqueeze(1) - last.weight
    margins = (rows @ centre.unsqueeze(2) - rows.abs() @ radius.unsqueeze(2)).squeeze(2)
    return functional.cross_entropy(-(margins + last.bias[labels].unsqueeze(1) - last.bias), labels)


def main() -> None:
    options = mnist_options(__doc__, batch=50, repeats=7)
    model, x, labels = mnist(options)
    assert isinstance(model, nn.Sequential)
    dual, ball = autodual.compile_dual(model, x[:1]), autodual.LinfBall(RADIUS)

    def step(loss: Callable[[], Tensor]) -> float:
        """Seconds of a forward and backward pass."""
        start = time.process_time()
        model.zero_grad()
        loss().backward()
        return time.process_time() - start

    works: dict[str, Callable[[], Tensor]] = {"interval bounds by hand": lambda: by_hand(model, x, labels)}
    works |= {name: (lambda loss=loss: loss(dual, x, labels, ball)) for name, loss in LOSSES.items()}  # type: ignore[misc]
    for work in works.values():
        step(work)
    found: dict[str, list[float]] = {name: [] for name in works}
    units = []
    for _ in range(options.repeats):
        start = time.process_time()
        calibration()
        units.append(time.process_time() - start)
        for name, work in works.items():
            found[name].append(step(work))
    unit = statistics.median(units)
    costs = {name: statistics.median(times) / unit / len(x) for name, times in found.items()}
    hand = found["interval bounds by hand"]
    ratio = statistics.median(ours / theirs for ours, theirs in zip(found["interval bounds"], hand))
    for name, cost in costs.items():
        say(f"{name}: {cost:.4f} C an image")
    say(f"interval bounds, ours / by hand: {ratio:.3f}")
    save("training_steps", {"batch": len(x), "model": options.model.name, "costs": costs, "ratio": ratio, "C": unit})


if __name__ == "__main__":
    main()
