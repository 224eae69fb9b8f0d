"""Wasserstein balls: certified, true and attacked accuracy, and accuracy under attacks whose radius grows.

    python benchmarks/wasserstein.py certificates [--networks FILE …] [--radii 0.005 0.02] [--windows 3 5] [--save NAME]
    python benchmarks/wasserstein.py growth [--networks FILE …] [--windows 5] [--attack frank-wolfe] [--save NAME]

The first finds, by halving, the largest of the radii at which an image is certified, and the largest at which an attack
does not break it. The share certified at a radius or a larger one is a lower bound of the true robust accuracy, the
share that holds out against the attack an upper one. A certificate that the attack contradicts ends the run. The second
is Section 5.2's evaluation: the attack goes on in ever larger balls (from 0.3, 1.1 times larger after each 10 of 200
steps), and the radius at which an image is first misclassified counts. The networks are the shipped ones unless given.
`--data` and `--data-dir` take other images than the 1,000 that ship. Results are saved after each tenth of the images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from growing_balls import ATTACKS, SCHEDULES, holding, schedule, unbroken
from measure import save, say
from torch import Tensor, nn

import autodual
from autodual.attacks import FrankWolfe, counterexamples
from autodual.data import load_dataset
from autodual.specs import ClassMargin

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
BATCH = 50

Rows = list[dict[str, Any]]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["certificates", "growth"])
    parser.add_argument("--networks", type=Path, nargs="+", default=[EXAMPLES / "mnist_small.pt"])
    parser.add_argument("--windows", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--radii", type=float, nargs="+", default=[0.001, 0.002, 0.005, 0.01, 0.02])
    parser.add_argument("--images", type=int, default=100, help="the first ones of the data set")
    parser.add_argument("--steps", type=int, default=40, help="of Frank and Wolfe's attack on certificates")
    parser.add_argument("--attack", choices=sorted(ATTACKS), default="frank-wolfe")
    parser.add_argument("--schedule", choices=sorted(SCHEDULES), default="mnist")
    parser.add_argument("--domain", type=float, nargs=2, metavar=("LOWER", "UPPER"), help="of pixels (default: none)")
    parser.add_argument("--slopes", choices=["shared", "adaptive", "optimized"], default="adaptive")
    parser.add_argument("--data", default="sample")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--save", metavar="NAME", help="write docs/results/NAME.json")
    return parser.parse_args()


def batches(given: argparse.Namespace) -> list[tuple[Tensor, Tensor]]:
    data = load_dataset(given.data, given.data_dir)
    x, labels = data.x[: given.images].float(), torch.as_tensor(data.y)[: given.images]
    return list(zip(x.split(BATCH), labels.split(BATCH)))


@dataclass(frozen=True)
class Right:
    """Images that the network classifies correctly, and growing radii of balls around them."""

    given: argparse.Namespace
    network: nn.Module
    dual: autodual.DualNetwork
    x: Tensor
    labels: Tensor
    window: int
    radii: Tensor

    def ball(self, number: Tensor) -> autodual.WassersteinBall:
        """Of the radii with these numbers, counted from 1."""
        return autodual.WassersteinBall(self.radii[number - 1], window=self.window, domain=self.given.domain)

    def certified(self, index: Tensor, number: Tensor) -> Tensor:
        """Whether images are certified, `[n]`."""
        slopes, labels = self.given.slopes, self.labels[index]
        found = autodual.certify(self.dual, self.x[index], self.ball(number), labels, slopes=slopes)
        return torch.tensor([one.certified for one in found])

    def resist(self, index: Tensor, number: Tensor) -> Tensor:
        """Whether images hold out against the attack, `[n]`."""
        region, goal = self.ball(number).at(self.x[index]), ClassMargin(self.labels[index])
        points = FrankWolfe(self.given.steps, keep="first").run(self.network, region, goal)
        return ~counterexamples(self.network, region, goal, points)


def certificates(given: argparse.Namespace, network: nn.Module, window: int) -> Iterator[Rows]:
    """Rows for the radii after each batch: counts of images, and CPU seconds for each."""
    radii = torch.tensor(sorted(given.radii))
    proved, held, images, proving, start = [], [], 0, 0.0, time.process_time()
    for x, labels in batches(given):
        dual, right = autodual.compile_dual(network, x[:1]), network(x).argmax(1) == labels
        part = Right(given, network, dual, x[right], labels[right], window, radii)
        before = time.process_time()
        proved.append(holding(part.certified, len(part.x), len(radii)))
        proving += time.process_time() - before
        held.append(holding(part.resist, len(part.x), len(radii)))
        images += len(x)
        if (proved[-1] > held[-1]).any():
            raise RuntimeError(f"the attack broke a certified image, one of the {len(x)} before number {images}")
        counts = {"certified": torch.cat(proved), "held out": torch.cat(held)}
        spent = time.process_time() - start
        yield [
            {
                "radius": round(float(radius), 6),
                "images": images,
                "clean": len(counts["certified"]),
                **{name: int((found > place).sum()) for name, found in counts.items()},
                "seconds an image to certify": round(proving / images, 3),
                "seconds an image, all": round(spent / images, 3),
            }
            for place, radius in enumerate(radii)
        ]


def growth(given: argparse.Namespace, network: nn.Module, window: int) -> Iterator[Rows]:
    """Rows for the radii after each batch: the images that no point of this ball or a smaller one has broken."""
    radii, found, start = schedule(given.schedule), torch.zeros(0, dtype=torch.long), time.process_time()
    ball = autodual.WassersteinBall(radii[-1], window=window)
    for x, labels in batches(given):
        found = torch.cat([found, unbroken(network, x, labels, ball, ATTACKS[given.attack], given.schedule)])
        spent = round((time.process_time() - start) / len(found), 3)
        yield [
            {
                "radius": round(radius, 4),
                "images": len(found),
                "held out": int((found >= place).sum()),
                "seconds an image, all": spent,
            }
            for place, radius in enumerate([0.0, *radii])
        ]


def main() -> None:
    given = options()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    done: Rows = []
    often = max(1, given.images // BATCH // 10)
    for path in given.networks:
        loaded = autodual.load_model(path)
        network = getattr(loaded, "module", loaded).eval().requires_grad_(False)
        name = path.stem if path.resolve().parent == EXAMPLES else path.parent.name
        for window in given.windows:
            rows: Rows = []
            for number, found in enumerate(TASKS[given.task](given, network, window), 1):
                rows = [{"network": name, "window": window, **row} for row in found]
                if given.save and number % often == 0:
                    save(given.save, {"attack": given.attack, "rows": [*done, *rows]})
            for row in rows:
                say(*(f"{name} {value}" for name, value in row.items()))
            done += rows
    if given.save:
        say(save(given.save, {"attack": given.attack, "rows": done}))


TASKS = {"certificates": certificates, "growth": growth}

if __name__ == "__main__":
    main()
