"""Section 5.2: networks against Wasserstein attacks whose radius grows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from growing_balls import ATTACKS, schedule, unbroken
from torch import Tensor, nn

import autodual
from autodual.architectures import build_architecture
from autodual.attacks import ProjectedSinkhorn
from autodual.attacks.ascent import Ascent
from thesis_tables.adversarial import ADAM, Run, train
from thesis_tables.size import Size
from thesis_tables.table import Experiment, NotRun, Row, Table, Values, by_row

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Setting:
    """A data set of section 5.2.

    shown: the radii whose accuracies the text prints. attack: the thesis'. eps, growth: the largest radius of training,
    and by how much the radius grows after each tenth of an attack's steps.
    """

    data: str
    shown: tuple[float, float]
    attack: str
    eps: float
    growth: float


SETTINGS = {
    "mnist": Setting("mnist", (0.5, 1.0), "sinkhorn", 2.066, 1.4),
    "cifar10": Setting("cifar10", (0.01, 0.1), "sinkhorn-3000", 0.3844, 1.5),
}

#: The thesis' networks for MNIST, by the names of the files at https://github.com/edwardjhu/improved_wasserstein.
PUBLISHED = {
    "standard": "mnist_vanilla",
    "binarize": "mnist_binarize",
    "robust linf .1": "mnist_linf_robust",
    "adv. training": "mnist_adv_training_wong",
}


class Binarised(nn.Module):
    """A network that sees whether pixels are above a half; gradients pass as if it saw the pixels."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x > 0.5).to(x) + x - x.detach())


def _run(setting: Setting, adversarial: bool, size: Size) -> Run:
    """Training on images, or on what a walk through growing balls finds first.

    The thesis projects with an entropy instead, 50 steps at each of which take minutes for a batch on one core.
    """
    steps = size.attack_steps or 50
    walk = {"start": "zero", "step": "frank-wolfe", "step_size": 0.5, "first": True}
    grown = {"growth": setting.growth, "every": max(1, steps // 10)}
    loss: dict[str, Any] = {"kind": "pgd", "steps": steps, **walk, **grown} if adversarial else {"kind": "clean"}
    rate = {"kind": "steps", "start": 0.1, "at": [10], "factor": 0.1}
    arch = "small" if setting.data == "mnist" else "preact18"
    more = {"set": {"eps": setting.eps, "norm": "wasserstein", "window": 5}}
    run = Run(setting.data, arch, setting.eps, loss, 15, rate, norm="wasserstein", more=more)
    return replace(run, learning_rate={"kind": "cyclic", "peak": 2e-3}, optimiser=ADAM) if size.gentle else run


def _shipped(name: str) -> nn.Module:
    loaded: Any = autodual.load_model(EXAMPLES / f"{name}.pt")
    return getattr(loaded, "module", loaded)


def _published(file: Path) -> nn.Module:
    """A network of the architecture `small`, whose file holds weights and how they were found."""
    held = torch.load(file, map_location="cpu", weights_only=True)
    weights = held.get("net", held.get("state_dict", held))
    weights = weights[0] if isinstance(weights, list) else weights
    network = build_architecture("small", (1, 28, 28), 10)
    network.load_state_dict({name.removeprefix("module."): value for name, value in weights.items()})
    return network


def _network(row: Row, size: Size) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a row, with what is known of its training. Binarised inputs change nothing but the attack."""
    if row["model"] == "certified":
        return _shipped("mnist_wasserstein"), {}
    if size.published and row["dataset"] == "mnist":
        network = _published(size.published / f"{PUBLISHED[row['model']]}.pth")
        return Binarised(network) if row["model"] == "binarize" else network, {}
    if row["model"] == "robust linf .1":
        return _shipped("mnist_small"), {}
    if row["model"] == "robust linf 2/255":
        raise NotRun("no such network ships")
    dual, more = train(_run(SETTINGS[row["dataset"]], row["model"] == "adv. training", size), size)
    return Binarised(dual.model) if row["model"] == "binarize" else dual.model, more


def table_5_1(row: Row, size: Size) -> Values:
    """Clean accuracy, and the curves of Figures 5.4 and 5.5: the share unbroken at each radius, by both attacks."""
    setting, (network, more) = SETTINGS[row["dataset"]], _network(row, size)
    network.eval().requires_grad_(False)
    ball, radii, values = autodual.WassersteinBall(0.0, window=5), schedule(setting.data), dict(more)
    # The thesis' attack takes some 25 ms for each image and step.
    for name, attack, count in (("walk", "frank-wolfe", size.test), ("thesis", setting.attack, size.few)):
        if count == 0:
            continue
        start = time.process_time()
        found = _resisted(setting.data, count, size, network, ball, ATTACKS[attack])
        shares = [100 * float((found >= place).double().mean()) for place in range(len(radii) + 1)]
        values[f"{name}_curve"] = dict(zip([0.0, *radii], shares, strict=True))
        values[f"{name}_seconds_an_image"] = (time.process_time() - start) / count
        for words, radius in zip(("near", "far"), setting.shown, strict=True):
            # Between the radii of the schedule, the share at the next larger one.
            values[f"{name}_{words}"] = shares[1 + next(n for n, one in enumerate(radii) if one >= radius)]
    return {"clean_accuracy": values["walk_curve"][0.0], **values}


def _resisted(
    data: str, count: int, size: Size, network: nn.Module, ball: autodual.WassersteinBall, attack: Ascent
) -> Tensor:
    """At how many radii of the schedule the first test images resist, -1 for those that are misclassified."""
    parts = replace(size, test=count).batches(data)
    return torch.cat([unbroken(network, x, labels, ball, attack, data) for x, labels in parts])


def figure_5_7(row: Row, size: Size) -> Values:
    """The radius at which the thesis' attack first breaks each of a few images, by its λ and the power of distances."""
    network = _shipped("mnist_small").requires_grad_(False)
    attack = ATTACKS["frank-wolfe"]
    if row["strength"] is not None:
        attack = replace(ProjectedSinkhorn(strength=row["strength"]).ascent, keep="first")
    ball, start = autodual.WassersteinBall(0.0, window=5, cost=float(row["power"])), time.process_time()
    found, radii = _resisted("mnist", size.few, size, network, ball, attack), torch.tensor(schedule("mnist"))
    broken = (found >= 0) & (found < len(radii))
    return {
        "broken": 100 * float(broken.double().mean()),
        "mean_radius": float(radii[found[broken]].mean()) if broken.any() else None,
        "images": len(found),
        "cpu_seconds": time.process_time() - start,
    }


def with_certified(table: Table, size: Size) -> Iterator[tuple[Row, Values]]:
    """Table 5.1, and the shipped network that was trained on certificates."""
    table.rows.append({"dataset": "mnist", "model": "certified"})
    yield from by_row(table_5_1)(table, size)


EXPERIMENTS: dict[str, Experiment] = {"5.1": with_certified, "figure-5.7": by_row(figure_5_7)}

#: The thesis shows images.
FIGURES = {
    "figure-5.7": Table(
        "figure-5.7",
        "images broken up to a radius of 1.83, by the strength of the projection and the power of distances",
        "5.2.4",
        ("strength", "power"),
        ("broken", "mean_radius"),
        [{"strength": strength, "power": power} for strength in (1, 10, 100, 500, 1000, None) for power in range(1, 6)],
    )
}
