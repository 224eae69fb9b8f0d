"""A longer search for unsound certificates: many networks with planted counterexamples, every way to bound them.

    OMP_NUM_THREADS=1 python benchmarks/planted_counterexamples.py [--seeds 10] [--samples 4]

Networks are trained to have one counterexample in the set of each sample (`autodual.testing.plant_counterexamples`).
For each kind of network and set: how many samples each way certifies with the whole set, which must be none, and with
sets of a tenth of its size, which shows that the ways prove something. The exit status is 1 if any was certified.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import autodual
from autodual.perturbations import PerturbationSet
from autodual.testing import plant_counterexamples

FEATURES, CLASSES = 8, 3
WAYS: dict[str, dict[str, Any]] = {
    "shared": {"slopes": "shared"},
    "adaptive": {"slopes": "adaptive"},
    "optimized": {"slopes": "optimized"},
    "adaptive, balls": {"slopes": "adaptive", "balls": True},
    "optimized, balls": {"slopes": "optimized", "balls": True},
    "intervals": {"inner": "interval", "last": "interval"},
    "as executed": {"slopes": "adaptive", "deployed": True},
    "effort high": {"effort": "high", "timeout": 0.5},
}


def dense(activation: Callable[[], nn.Module]) -> nn.Module:
    """Two hidden layers."""
    return nn.Sequential(nn.Linear(FEATURES, 24), activation(), nn.Linear(24, 24), activation(), nn.Linear(24, CLASSES))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "ReLU": lambda: dense(nn.ReLU),
    "leaky ReLU": lambda: dense(lambda: nn.LeakyReLU(0.2)),
    "tanh": lambda: dense(nn.Tanh),
    "sigmoid": lambda: dense(nn.Sigmoid),
    "GELU": lambda: dense(nn.GELU),
    "convolutional": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 2, 2)), nn.Conv2d(2, 8, 2, padding=1), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Flatten(),
        nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, CLASSES),
    ),
}  # fmt: skip
SETS: dict[str, Callable[[float], PerturbationSet]] = {
    "l∞": lambda size: autodual.LinfBall(0.2 * size, (0, 1)),
    "l2": lambda size: autodual.L2Ball(0.3 * size),
    "l2 clipped": lambda size: autodual.L2Ball(0.3 * size, (0, 1)),
    "l1": lambda size: autodual.L1Ball(0.4 * size),
}


def certified(kind: str, shape: str, options: argparse.Namespace) -> dict[str, tuple[int, int]]:
    """By way, how many samples it certifies with whole sets and with small ones."""
    found = dict.fromkeys(WAYS, (0, 0))
    for seed in range(options.seeds):
        torch.manual_seed(seed)
        x = torch.rand(options.samples, FEATURES)
        try:
            planted = plant_counterexamples(MODELS[kind](), x, SETS[shape](1.0), classes=CLASSES, seed=seed)
        except autodual.errors.InvalidInputError:
            continue  # this network could not be trained to have them
        dual = autodual.compile_dual(planted.model, x)
        for way, how in WAYS.items():
            counts = [
                sum(one.status == "certified" for one in autodual.certify(dual, x, ball, planted.labels, **how))
                for ball in (planted.ball, SETS[shape](0.1))
            ]
            found[way] = (found[way][0] + counts[0], found[way][1] + counts[1])
    return found


def show(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201


def main() -> None:
    """Print the table; exit with 1 if a planted counterexample was certified away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--samples", type=int, default=4)
    options = parser.parse_args()
    show(f"autodual {autodual.__version__}, torch {torch.__version__}, {options.seeds} networks of each kind\n")
    show(f"| network | set | {' | '.join(WAYS)} |\n|---|---|{'---|' * len(WAYS)}")
    wrong = 0
    for kind in MODELS:
        for shape in SETS:
            found = certified(kind, shape, options)
            wrong += sum(whole for whole, _ in found.values())
            show(f"| {kind} | {shape} | {' | '.join(f'{a} ({b})' for a, b in found.values())} |")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
