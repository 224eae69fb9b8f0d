"""Attacks on Wasserstein balls: how many images each breaks, and its CPU time.

    python benchmarks/wasserstein_attacks.py [--images 100] [--thesis-images 10] [--thesis-steps 50]
        [--eps 0.3 0.5] [--windows 3 5 7] [--save]

Two networks: examples/mnist_small.pt, trained for an l∞ ball of radius 0.1, and one of its architecture that is trained
here on images as they are, 800 of the 1,000 that ship with autodual. Each attack is run on one thread on the first of
the other 200 that the network classifies correctly, and leaves a sample alone once it is broken. The thesis' attack is
far slower, and is run on fewer images; Frank and Wolfe's is shown on these, too.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any

import torch
from measure import EXAMPLE, save, say
from torch import Tensor, nn

import autodual
from autodual.attacks import Apgd, Attack, FrankWolfe, Pgd, ProjectedSinkhorn, Square, counterexamples
from autodual.data import load_dataset
from autodual.specs import ClassMargin


@dataclass(frozen=True)
class Case:
    """A network with images that it classifies correctly."""

    name: str
    model: nn.Module
    x: Tensor
    labels: Tensor

    def first(self, count: int) -> Case:
        return Case(self.name, self.model, self.x[:count], self.labels[:count])


def example_network() -> nn.Module:
    loaded = autodual.load_model(EXAMPLE)
    return getattr(loaded, "module", loaded)


def standard_network(x: Tensor, labels: Tensor) -> nn.Module:
    """The same architecture, trained on images as they are."""
    model = example_network()
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.reset_parameters()
    model.requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(10):
        for part in torch.randperm(len(x)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[part]), labels[part]).backward()
            optimizer.step()
    return model


def cases() -> list[Case]:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    data = load_dataset("sample")
    x, labels = data.x.float(), data.y
    models = {"l∞-trained": example_network(), "standard": standard_network(x[200:], labels[200:])}
    found = []
    for name, model in models.items():
        model.float().eval().requires_grad_(False)
        right = (model(x[:200]).argmax(1) == labels[:200]).nonzero().squeeze(1)
        found.append(Case(name, model, x[right], labels[right]))
    return found


def measured(case: Case, eps: float, window: int, attack: Attack) -> dict[str, Any]:
    """The share of the images that an attack breaks, and its CPU milliseconds for each."""
    region, goal = autodual.WassersteinBall(eps, window).at(case.x), ClassMargin(case.labels)
    start = time.process_time()
    points = attack.run(case.model, region, goal)
    milliseconds = 1000 * (time.process_time() - start) / len(case.x)
    broken = counterexamples(case.model, region, goal, points).float().mean()
    return {"broken": round(float(broken), 4), "milliseconds": round(milliseconds, 2), "images": len(case.x)}


def attacks() -> dict[str, Attack]:
    return {
        "frank-wolfe, 40 steps": FrankWolfe(40, keep="first"),
        "frank-wolfe, 100 steps, 3 starts": FrankWolfe(100, restarts=3, keep="first"),
        "apgd, 100 steps": Apgd(100, keep="first"),
        "pgd, 40 steps": Pgd(40, keep="first"),
        "square, 500 queries": Square(500),
    }


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--thesis-images", type=int, default=10)
    parser.add_argument("--thesis-steps", type=int, default=50)
    parser.add_argument("--eps", type=float, nargs="+", default=[0.3, 0.5])
    parser.add_argument("--windows", type=int, nargs="+", default=[3, 5, 7])
    parser.add_argument("--save", action="store_true", help="write docs/results/wasserstein_attacks.json")
    return parser.parse_args()


def main() -> None:
    chosen, rows = options(), []
    for case in cases():
        for eps in chosen.eps:
            for window in chosen.windows:
                few = case.first(chosen.thesis_images)
                thesis = ProjectedSinkhorn(chosen.thesis_steps, keep="first")
                runs = [(case.first(chosen.images), name, attack) for name, attack in attacks().items()]
                if chosen.thesis_images:
                    runs += [(few, "frank-wolfe, 40 steps", FrankWolfe(40, keep="first"))]
                    runs += [(few, f"projected-sinkhorn, {chosen.thesis_steps} steps", thesis)]
                for some, name, attack in runs:
                    found = measured(some, eps, window, attack)
                    rows.append({"network": case.name, "eps": eps, "window": window, "attack": name, **found})
                    say(
                        f"{case.name:10} eps {eps:g} window {window} {name:34} broken {found['broken']:7.2%} "
                        f"of {found['images']:3}, {found['milliseconds']:9.1f} ms an image"
                    )
    if chosen.save:
        save("wasserstein_attacks", {"options": vars(chosen), "rows": rows})


if __name__ == "__main__":
    main()
