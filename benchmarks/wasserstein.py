"""Wasserstein balls: certified, true and attacked accuracy, and accuracy under attacks whose radius grows.

    python benchmarks/wasserstein.py certificates [--networks FILE …] [--radii 0.005 0.02] [--windows 3 5] [--save NAME]
    python benchmarks/wasserstein.py growth [--networks FILE …] [--windows 5] [--attack frank-wolfe] [--save NAME]

The first certifies images and attacks all of them, those that were certified, too. The share certified is a lower bound
of the true robust accuracy, the share that holds out against the attack an upper one. The second is Section 5.2's
evaluation: the attack goes on in ever larger balls (from 0.3, 1.1 times larger after each 10 of 200 steps), and the
radius at which an image is first misclassified counts. The networks are the shipped ones unless given. `--data` and
`--data-dir` take other images than the 1,000 that ship.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from measure import save, say
from torch import Tensor, nn

import autodual
from autodual.attacks import FrankWolfe, ProjectedSinkhorn
from autodual.attacks.growth import Growth
from autodual.data import load_dataset
from autodual.specs import ClassMargin

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
#: Steps at each radius, the first radius, the growth and the number of radii (Section 5.2: MNIST, CIFAR-10).
SCHEDULES = {"mnist": (10, 0.3, 1.1, 20), "cifar10": (10, 0.001, 1.17, 40)}
ATTACKS = {
    name: replace(attack.ascent, keep="first")
    for name, attack in (("frank-wolfe", FrankWolfe(share=0.3)), ("sinkhorn", ProjectedSinkhorn()))
}
BATCH = 50


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
    parser.add_argument("--data", default="sample")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--save", metavar="NAME", help="write docs/results/NAME.json")
    return parser.parse_args()


def batches(given: argparse.Namespace) -> Iterator[tuple[Tensor, Tensor]]:
    data = load_dataset(given.data, given.data_dir)
    x, labels = data.x[: given.images].float(), torch.as_tensor(data.y)[: given.images]
    yield from zip(x.split(BATCH), labels.split(BATCH))


def certificates(given: argparse.Namespace, network: nn.Module, window: int) -> Iterator[dict[str, Any]]:
    """A row for each radius: counts of images, and CPU seconds for each."""
    for radius in given.radii:
        counts = {"clean": 0, "held out": 0, "certified": 0}
        start, proof, ball = time.process_time(), None, autodual.WassersteinBall(radius, window=window)
        for x, labels in batches(given):
            dual = autodual.compile_dual(network, x[:1])
            if proof is None:
                before = time.process_time()
                autodual.certify(dual, x, ball, labels)
                proof = (time.process_time() - before) / len(x)
                start = time.process_time()
            found = autodual.certify(dual, x, ball, labels, attack=FrankWolfe(given.steps), bracket=True)
            counts["clean"] += int((network(x).argmax(1) == labels).sum())
            counts["held out"] += sum(not one.attacked for one in found)
            counts["certified"] += sum(one.certified for one in found)
        yield {
            "radius": radius,
            "images": given.images,
            **counts,
            "seconds a certificate": round(proof or 0, 3),
            "seconds an image, all": round((time.process_time() - start) / given.images, 3),
        }


def growth(given: argparse.Namespace, network: nn.Module, window: int) -> Iterator[dict[str, Any]]:
    """A row for each radius: the images that no point of this ball or a smaller one has broken."""
    every, first, factor, count = SCHEDULES[given.schedule]
    radii = [first * factor**number for number in range(count)]
    attack = replace(ATTACKS[given.attack], steps=every * count, growth=Growth(factor, every))
    held, start = torch.zeros(count + 1, dtype=torch.long), time.process_time()
    for x, labels in batches(given):
        right = network(x).argmax(1) == labels
        x, labels = x[right], labels[right]
        points = attack.run(network, autodual.WassersteinBall(radii[-1], window=window).at(x), ClassMargin(labels))
        broken = (network(points).argmax(1) != labels).nonzero().squeeze(1)
        place = torch.full_like(labels, count + 1)
        place[broken] = smallest(points[broken], x[broken], radii, window)
        held += (place > torch.arange(count + 1).unsqueeze(1)).sum(1)
    spent = round((time.process_time() - start) / given.images, 3)
    for radius, left in zip([0.0, *radii], held.tolist()):
        yield {"radius": round(radius, 4), "images": given.images, "held out": left, "seconds an image, all": spent}


def smallest(points: Tensor, x: Tensor, radii: list[float], window: int) -> Tensor:
    """The number, from 1 on, of the smallest ball that holds each point; one more where the last does not."""
    low, high = torch.zeros(len(x), dtype=torch.long), torch.full((len(x),), len(radii))
    while (open_ := high - low > 1).any():
        middle = (low + high) // 2
        radius = torch.tensor(radii)[middle - 1]
        inside = autodual.WassersteinBall(radius, window=window).at(x).contains(points)
        low, high = torch.where(open_ & ~inside, middle, low), torch.where(open_ & inside, middle, high)
    sure = autodual.WassersteinBall(radii[-1], window=window).at(x).contains(points)
    return torch.where(sure, high, len(radii) + 1)


def main() -> None:
    given = options()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rows = []
    for path in given.networks:
        loaded = autodual.load_model(path)
        network = getattr(loaded, "module", loaded).eval().requires_grad_(False)
        name = path.stem if path.resolve().parent == EXAMPLES else path.parent.name
        for window in given.windows:
            for row in TASKS[given.task](given, network, window):
                rows.append({"network": name, "window": window, **row})
                say(*(f"{name} {value}" for name, value in rows[-1].items()))
    if given.save:
        say(save(given.save, {"attack": given.attack, "rows": rows}))


TASKS = {"certificates": certificates, "growth": growth}

if __name__ == "__main__":
    main()
