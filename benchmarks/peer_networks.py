"""Cost and value of the same adaptive bounds by autodual and by auto_LiRPA on networks of several shapes, in one run.

    PYTHONPATH=CLONE python benchmarks/peer_networks.py [--repeats 3] [--only NAME] [--model FILE --radius 0.02]

CLONE is a checkout of the public repository Verified-Intelligence/auto_LiRPA. One thread, float32, CPU time, random
weights and images but for the networks given by --model, whose images are those of MNIST; runs of both alternate.
`share` is the part of our time that the arithmetic of our bounds takes at the speed of a large matrix product.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from measure import save, say
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import autodual
from autodual.data import load_dataset

Work = Callable[[], Tensor]


def perceptron(depth: int, width: int) -> tuple[nn.Module, Tensor]:
    """A fully connected network, and images."""
    sizes = [784, *[width] * depth]
    layers = [part for pair in pairwise(sizes) for part in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(width, 10)), torch.rand(50, 1, 28, 28)


def convolutions() -> tuple[nn.Module, Tensor]:
    """Five convolutions with 50,000 units, and images."""
    shapes = [(3, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 2)]
    body = [part for i, o, stride in shapes for part in (nn.Conv2d(i, o, 3, stride, 1), nn.ReLU())]
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(2048, 10)), torch.rand(4, 3, 32, 32)


def given(path: Path) -> tuple[nn.Module, Tensor]:
    """A stored MNIST network, and images."""
    model = autodual.load_model(path)
    return getattr(model, "module", model), load_dataset("sample").x.float()[:50]


def both_bounds(model: nn.Module, x: Tensor, radius: float) -> tuple[Work, Work]:
    """The bounds of both libraries."""
    from auto_LiRPA import BoundedModule, BoundedTensor
    from auto_LiRPA.perturbations import PerturbationLpNorm

    model.requires_grad_(False)
    rows, ball = torch.eye(model(x[:1]).shape[1]), autodual.LinfBall(radius)
    dual = autodual.compile_dual(model, x[:1])
    peer = BoundedModule(model, torch.zeros_like(x[:1]), bound_opts={"activation_bound_option": "adaptive"})

    def theirs() -> Tensor:
        box = BoundedTensor(x, PerturbationLpNorm(norm=float("inf"), x_L=x - radius, x_U=x + radius))
        each = rows.expand(len(x), -1, -1)
        return peer.compute_bounds(x=(box,), C=each, method="backward", bound_upper=False)[0]

    return lambda: dual.lower_bounds(x, ball, rows, slopes="adaptive"), theirs


def compared(name: str, batch: int, both: tuple[Work, Work], repeats: int, speed: float) -> dict[str, Any]:
    """Milliseconds a sample of both, their ratio, and our share of arithmetic."""
    for _ in range(3):  # the third call replays what the second did
        difference = float((both[0]() - both[1]()).abs().max())
    times: list[list[float]] = [[], []]
    for _ in range(repeats):
        for work, spent in zip(both, times):
            start = time.process_time()
            work()
            spent.append(time.process_time() - start)
    ours, theirs = (statistics.median(spent) for spent in times)
    with FlopCounterMode(display=False) as counter:
        both[0]()
    return {
        "network": name,
        "batch": batch,
        "ours": 1e3 * ours / batch,
        "theirs": 1e3 * theirs / batch,
        "ratio": ours / theirs,
        "largest difference": difference,
        "GFLOP": counter.get_total_flops() / 1e9,
        "share": counter.get_total_flops() / speed / ours,
    }


def product_speed() -> float:
    """Operations a second of a large matrix product."""
    first, second, times = torch.rand(2048, 512), torch.rand(512, 1024), []
    for _ in range(9):
        start = time.process_time()
        first @ second
        times.append(time.process_time() - start)
    return 2 * 2048 * 512 * 1024 / min(times)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="an MNIST network to compare as well")
    parser.add_argument("--radius", type=float, default=0.02, help="of the l∞ ball around its images")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="networks whose names hold this")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    cases: list[tuple[str, Callable[[], tuple[nn.Module, Tensor]], float, tuple[int, ...]]] = [
        ("8 x 100", lambda: perceptron(8, 100), 0.01, (4,)),
        ("32 x 100", lambda: perceptron(32, 100), 0.01, (4,)),
        ("4 x 1024", lambda: perceptron(4, 1024), 0.01, (4,)),
        ("five convolutions", convolutions, 1 / 255, (1, 4)),
    ]
    if options.model is not None:
        cases.insert(0, (options.model.name, lambda: given(options.model), options.radius, (1, 10, 50)))
    rows, speed = [], product_speed()
    for name, make, radius, batches in cases:
        for batch in batches if options.only in name else ():
            model, x = make()
            rows.append(compared(name, batch, both_bounds(model, x[:batch], radius), options.repeats, speed))
            say(rows[-1])
    save("peer_networks", {"product GFLOP/s": speed / 1e9, "rows": rows})


if __name__ == "__main__":
    main()
