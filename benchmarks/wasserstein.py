"""Wasserstein balls: certified, true and attacked accuracy, and accuracy under attacks whose radius grows.

    python benchmarks/wasserstein.py certificates [--networks FILE …] [--radii 0.005 0.02] [--windows 3 5] [--save NAME]
    python benchmarks/wasserstein.py growth [--networks FILE …] [--windows 5] [--attack frank-wolfe] [--save NAME]

The first finds, by halving, the largest of the radii at which an image is certified, and the largest at which an attack
does not break it. The share certified at a radius or a larger one is a lower bound of the true robust accuracy, the
share that holds out against the attack an upper one. A certificate that the attack contradicts ends the run. The second
is Section 5.2's evaluation: the attack goes on in ever larger balls (from 0.3, 1.1 times larger after each 10 of 200
steps), and the radius at which an image is first misclassified counts. The networks are the shipped ones unless given.
`--data` and `--data-dir` take other images than the 1,000 that ship. Results are saved after each tenth of the images,
and `--resume` goes on from there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from growing_balls import ATTACKS, SCHEDULES, holding, schedule, unbroken
from measure import RESULTS, save, say
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
    parser.add_argument("--resume", action="store_true", help="go on after the images of docs/results/NAME.json")
    return parser.parse_args()


def batches(given: argparse.Namespace, first: int) -> list[tuple[Tensor, Tensor]]:
    data, part = load_dataset(given.data, given.data_dir), slice(first, given.images)
    x, labels = data.x[part].float(), torch.as_tensor(data.y)[part]
    if len(x) == 0:
        return []
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


def certificates(given: argparse.Namespace, network: nn.Module, window: int, first: int) -> Iterator[Rows]:
    """Rows for the radii, of each batch: counts of images, and CPU seconds."""
    radii = torch.tensor(sorted(given.radii))
    for x, labels in batches(given, first):
        start = time.process_time()
        dual, right = autodual.compile_dual(network, x[:1]), network(x).argmax(1) == labels
        part = Right(given, network, dual, x[right], labels[right], window, radii)
        before = time.process_time()
        proved = holding(part.certified, len(part.x), len(radii))
        proving = time.process_time() - before
        held = holding(part.resist, len(part.x), len(radii))
        if (proved > held).any():
            raise RuntimeError(f"the attack broke a certified image, one of {len(x)} in a row")
        yield [
            {
                "radius": round(float(radius), 6),
                "images": len(x),
                "clean": len(proved),
                "certified": int((proved > place).sum()),
                "held out": int((held > place).sum()),
                "seconds an image to certify": proving / len(x),
                "seconds an image, all": (time.process_time() - start) / len(x),
            }
            for place, radius in enumerate(radii)
        ]


def growth(given: argparse.Namespace, network: nn.Module, window: int, first: int) -> Iterator[Rows]:
    """Rows for the radii, of each batch: the images that no point of this ball or a smaller one has broken."""
    radii = schedule(given.schedule)
    ball = autodual.WassersteinBall(radii[-1], window=window)
    for x, labels in batches(given, first):
        start = time.process_time()
        found = unbroken(network, x, labels, ball, ATTACKS[given.attack], given.schedule)
        spent = (time.process_time() - start) / len(found)
        yield [
            {
                "radius": round(radius, 4),
                "images": len(found),
                "held out": int((found >= place).sum()),
                "seconds an image, all": spent,
            }
            for place, radius in enumerate([0.0, *radii])
        ]


def together(rows: Rows, more: Rows) -> Rows:
    """Rows of more images: sums of counts, means of seconds an image."""
    found = []
    for old, new in zip(rows, more, strict=True):
        if old["radius"] != new["radius"]:
            raise RuntimeError("the saved results are of other radii; save under another name")
        row, images = dict(new), old["images"] + new["images"]
        for name in new.keys() - {"network", "window", "radius"}:
            if name.startswith("seconds"):
                row[name] = (old[name] * old["images"] + new[name] * new["images"]) / images
            else:
                row[name] = old[name] + new[name]
        found.append(row)
    return found


def rounded(rows: Rows) -> Rows:
    """Rows with seconds to the thousandth."""
    return [{name: round(value, 3) if "seconds" in name else value for name, value in row.items()} for row in rows]


def saved(given: argparse.Namespace) -> Rows:
    """The rows of a run that was ended, if this one goes on with it."""
    path = RESULTS / f"{given.save}.json"
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if given.resume and path.exists() else []


def main() -> None:
    given = options()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    before, done = saved(given), []
    often = max(1, given.images // BATCH // 10)
    for path in given.networks:
        loaded = autodual.load_model(path)
        network = getattr(loaded, "module", loaded).eval().requires_grad_(False)
        name = path.stem if path.resolve().parent == EXAMPLES else path.parent.name
        for window in given.windows:
            which = {"network": name, "window": window}
            rows = [row for row in before if row.items() >= which.items()]
            first = rows[0]["images"] if rows else 0
            for number, found in enumerate(TASKS[given.task](given, network, window, first), 1):
                new = [{**which, **row} for row in found]
                rows = together(rows, new) if rows else new
                if given.save and number % often == 0:
                    save(given.save, {"attack": given.attack, "rows": rounded([*done, *rows])})
            for row in rounded(rows):
                say(*(f"{name} {value}" for name, value in row.items()))
            done += rows
    if given.save:
        say(save(given.save, {"attack": given.attack, "rows": rounded(done)}))


TASKS = {"certificates": certificates, "growth": growth}

if __name__ == "__main__":
    main()
