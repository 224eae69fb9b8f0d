"""What PGD costs a sample and step beside the operations of the network alone, which no attack can do without.

    python benchmarks/attack_floor.py REFERENCE [--network mnist_small] [--images 60] [--repeats 8]

CPU microseconds of one thread, the least of several runs in turn, in an l∞ ball. `operations` are those of a run and of
the way back, recorded and done again without anything between; `autograd` is the same by `torch.autograd.grad`.
REFERENCE is the folder of public reference networks. torchattacks is left out where it is not installed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from attacked_networks import NETWORKS, SETS, attacked
from measure import say, seconds
from peer_attacks import STEPS, peer_attacks
from torch import Tensor, nn

from autodual.attacks import Pgd
from autodual.attacks.replayed_runs import NetworkRuns
from autodual.specs import ClassMargin


def by_autograd(model: nn.Module, x: Tensor, slope: Tensor) -> Tensor:
    """The gradient by the inputs of a loss with a slope at the outputs."""
    points = x.detach().requires_grad_()
    return torch.autograd.grad(model(points), points, slope)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--network", choices=NETWORKS, default="mnist_small")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    subject = attacked(options.reference, options.network).first(options.images)
    model, x, ball = subject.model, subject.x, SETS[NETWORKS[options.network][0]]
    with torch.no_grad():
        runs, slope = NetworkRuns(model), torch.ones_like(model(x))
    attack = Pgd(STEPS, start="uniform", objective="cross-entropy", keep="first")
    steps: dict[str, Callable[[], object]] = {
        "forward": lambda: model(x),
        "operations": lambda: runs.at(x).gradient(slope),
    }
    # What is timed in steps, and what in whole attacks.
    works = {name: torch.no_grad()(partial(_often, work)) for name, work in steps.items()}
    works["autograd"] = partial(_often, partial(by_autograd, model, x, slope))
    works["Pgd"] = lambda: attack.run(model, ball.at(x), ClassMargin(subject.labels))
    peers = peer_attacks(model, ball).get("PGD", {})
    works |= {name: partial(peer, x, subject.labels) for name, peer in peers.items()}
    times = {name: [seconds(work, 1)] for name, work in works.items()}
    for _ in range(options.repeats - 1):
        for name, work in works.items():
            times[name].append(seconds(work, 1, warm=False))
    for name, found in times.items():
        say(f"{options.network}, {len(x)} images, {name}: {min(found) / STEPS / len(x) * 1e6:.1f} µs")


def _often(work: Callable[[], object]) -> None:
    for _ in range(STEPS):
        work()


if __name__ == "__main__":
    main()
