"""Time and peak memory of a training step by the network's size, with exact bounds and with random projections.

    python benchmarks/scaling.py one-layer two-layers width depth [--largest 4200000] [--timeout 600]

one-layer: the thesis' Figure 3.20, a 3×3 convolution of 28×28 images with more and more filters. Over an l∞ ball the
first affine layer needs no rows; over an l2 ball it does, so the figure is drawn for both. two-layers: sixteen
filters, then more and more; the second layer's rows dominate the cost. width, depth: `wide-128:K` and the thesis'
`deep:K`. A step is robust_loss, forward and backward, of one image, one thread, float32, at radius 0.1. Every point
runs in a process of its own; memory is its peak minus the memory before the step.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import torch
from measure import calibration, in_child, peak_of, save, say, seconds
from torch import nn

import autodual
from autodual.architectures import build_architecture
from autodual.passes import ChooseExecution, Pass, RandomProjection, default_pipeline

FILTERS = (4, 16, 64, 128, 256, 512, 1024, 2048, 5360)
# Sizes at which exact bounds take at most minutes.
FEWER = (4, 16, 64, 128, 256, 512, 1024)


def network(kind: str, size: int) -> nn.Module:
    """The network of one point; weights as PyTorch initialises them."""
    relu, side = nn.ReLU(), 28
    if kind == "one-layer":
        return nn.Sequential(nn.Conv2d(1, size, 3, padding=1), relu, nn.Flatten(), nn.Linear(size * side * side, 10))
    if kind == "two-layers":
        first = nn.Conv2d(1, 16, 3, padding=1)
        second = nn.Conv2d(16, size, 3, padding=1)
        return nn.Sequential(first, relu, second, nn.ReLU(), nn.Flatten(), nn.Linear(size * side * side, 10))
    return build_architecture(f"wide-128:{size}" if kind == "width" else f"deep:{size}", (1, side, side), 10)


def passes(way: str, budget: int) -> list[Pass]:
    """The pipeline of one way of bounding."""
    options: dict[str, Any] = {"memory_budget": budget}
    if way in ("pull", "push"):
        options["mode"] = way
    if way == "pull, no windows":
        options.update(mode="pull", windows=False)
    steps = [ChooseExecution(**options) if isinstance(step, ChooseExecution) else step for step in default_pipeline()]
    if way.startswith("projection"):
        steps.append(RandomProjection(int(way.split()[1]), seed=0))
    return steps


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """The number of hidden units of a point, and the CPU seconds (with C) or the memory peak in MiB of its step."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = network(point["kind"], point["size"])
    x, y = torch.rand(1, 1, 28, 28), torch.zeros(1, dtype=torch.long)
    hidden = sum(value.numel() for value in _activations(model, x))
    make = {"linf": autodual.LinfBall, "l2": autodual.L2Ball}[point["set"]]
    dual = autodual.compile_dual(model, x, passes=passes(point["way"], point["budget"]))
    ball = make(0.1)

    def step() -> None:
        model.zero_grad()
        autodual.robust_loss(dual, x, y, ball).backward()

    if point["quantity"] == "MiB":
        return {"hidden": hidden, "MiB": peak_of(step)}
    # The first step is a warm-up, unless it takes long.
    spent = [seconds(step, 1, warm=False)]
    if spent[0] < 20:
        spent.append(seconds(step, 3, warm=False))
    return {"hidden": hidden, "seconds": min(spent), "C": seconds(calibration, 3)}


def _activations(model: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    found = []
    with torch.no_grad():
        for layer in model:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                found.append(x)
    return found


def points(kind: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All points of a sweep."""
    budget, made = options.budget, []

    def add(ways: tuple[str, ...], sizes: tuple[int, ...], ball: str = "linf") -> None:
        made.extend(
            {"kind": kind, "way": way, "set": ball, "size": size, "budget": budget} for way in ways for size in sizes
        )

    if kind == "one-layer":
        add(("auto",), FILTERS)
        add(("projection 50", "projection 10"), FILTERS, "l2")
        add(("pull",), FEWER, "l2")
    elif kind == "two-layers":
        add(("projection 50", "projection 10"), FILTERS)
        add(("pull", "push"), FEWER)
        add(("pull, no windows",), FEWER[:4])
    elif kind == "width":
        add(("auto", "projection 50"), (1, 2, 4, 8, 16))
    else:
        add(("auto", "projection 50"), (1, 2, 3, 4))
    return [point for point in made if _hidden(point) <= options.largest]


def _hidden(point: dict[str, Any]) -> int:
    convolution = point["kind"] in ("one-layer", "two-layers")
    return 784 * point["size"] if convolution else 0


def both(point: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Time and memory of a point, each in a process of its own."""
    found = in_child(__file__, {**point, "quantity": "seconds"}, timeout, keeping=True)
    if "failed" not in found:
        found.update(in_child(__file__, {**point, "quantity": "MiB"}, timeout))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=["one-layer", "two-layers", "width", "depth"])
    parser.add_argument("--largest", type=int, default=4_300_000, help="hidden units of the last layer, at most")
    parser.add_argument("--timeout", type=float, default=600, help="seconds a point")
    parser.add_argument("--budget", type=int, default=4 << 30, help="bytes")
    parser.add_argument("--point", help="measure one point, given as JSON, and print it")
    options = parser.parse_args()
    if options.point:
        say(json.dumps(measure(json.loads(options.point))))
        return
    for kind in options.kinds:
        found, slow = [], set()
        for point in points(kind, options):
            if point["way"] in slow:
                continue
            found.append(both(point, options.timeout))
            say(found[-1])
            if "failed" in found[-1]:
                slow.add(point["way"])
        save(f"scaling_{kind}", {"points": found})


if __name__ == "__main__":
    main()
