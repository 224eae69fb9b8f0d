"""Adversarial training and its evaluation, as in chapters 4 and 5."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

import autodual
from autodual.architectures import build_architecture
from autodual.attacks import Attack, Pgd, broken
from autodual.errors import DataError
from autodual.network import DualNetwork
from autodual.perturbations import PerturbationSet
from autodual.train.checkpoint import RunFolder
from autodual.train.curves import LabelledSamples
from autodual.train.recipe import Recipe, assemble
from autodual.train.samples import split
from autodual.train.training import Training
from thesis_tables.networks import SHAPES
from thesis_tables.size import Size
from thesis_tables.table import NotRun

#: The section of a recipe for the optimiser of sections 4.2 to 5.4.
SGD = {"kind": "sgd", "momentum": 0.9, "nesterov": False, "weight_decay": 5e-4, "decayed": "all"}
#: The optimiser of the released code for MNIST; the text names none.
ADAM = {"kind": "adam"}
CROP_AND_FLIP = {"shift": 4, "flip": True}

#: A radius that grows over the first half of a run. Short runs with attacks of many steps stay constant without it.
GROWN = {"kind": "piecewise-linear", "unit": "run", "knots": [[0, 0.1], [0.5, 1]]}

PIXEL = 1 / 255


@dataclass(frozen=True)
class Setting:
    """Data of chapter 4, with the radius of training and the step of the evaluation's attack, in units of the input."""

    data: str
    eps: float
    step: float


CIFAR = Setting("cifar10", 8 * PIXEL, 2 * PIXEL)
MNIST = Setting("mnist", 0.3, 0.01)


def setting_of(size: Size) -> Setting:
    """CIFAR-10, as in the thesis, or what stands in for it."""
    return MNIST if size.instead == "mnist" else CIFAR


@dataclass(frozen=True)
class Run:
    """One training run: a network and all settings that differ between rows.

    loss, learning_rate: as in a recipe. epochs: the thesis' own number. more: other entries of the recipe.
    """

    data: str
    arch: str
    eps: float
    loss: Mapping[str, Any]
    epochs: int
    learning_rate: Mapping[str, Any]
    norm: str = "linf"
    optimiser: Mapping[str, Any] = field(default_factory=lambda: SGD)
    batch_size: int = 128
    seed: int = 0
    more: Mapping[str, Any] = field(default_factory=dict)


def small_enough(run: Run, size: Size) -> str:
    """The architecture to train: the run's own, or the substitute if it is too large. Raises NotRun if both are."""
    for arch in (run.arch, size.arch):
        if arch and parameters(arch, run.data) <= size.largest:
            return arch
    raise NotRun(f"{run.arch} has {parameters(run.arch, run.data):,} parameters")


def parameters(arch: str, data: str) -> int:
    """The number of an architecture's parameters."""
    with torch.device("meta"):
        model = build_architecture(arch, SHAPES[data], 10)
    return sum(value.numel() for value in model.parameters())


def recipe_of(run: Run, size: Size) -> Recipe:
    """The recipe of a run, with the thesis' schedules scaled to the epochs that are run."""
    augmented = CROP_AND_FLIP if run.data == "cifar10" and not size.plain else {}
    arch, more = small_enough(run, size), dict(run.more)
    data = {"train": f"{run.data}:train", "limit": size.limit, "hold_out": 0, **augmented, **more.pop("data", {})}
    return assemble(
        Recipe,
        {
            "epochs": size.epochs or run.epochs,
            "batch_size": run.batch_size,
            "seed": run.seed,
            "radius": GROWN if size.gentle else 1.0,
            "learning_rate": run.learning_rate,
            "optimiser": run.optimiser,
            # What stands in for a residual network has batch norms, as residual networks always have.
            "network": {"arch": arch, "batch_norm": run.arch == "preact18" != arch},
            "set": {"eps": run.eps, "norm": run.norm, "domain": [0, 1]},
            "loss": run.loss,
            "validation": {"select": "clean", "attack_steps": 0},
            "collapse": {"watch": "never"},
            **more,
            "data": data,
        },
    )


def train(run: Run, size: Size) -> tuple[DualNetwork, dict[str, Any]]:
    """The final network in evaluation mode, with the CPU time and the log of the run."""
    recipe = recipe_of(run, size)
    try:
        dataset, test = size.dataset(f"{run.data}:train"), size.dataset(f"{run.data}:test")
    except DataError:
        raise NotRun(f"no files of {run.data} in --data-dir") from None
    assert test.y is not None
    curve = LabelledSamples(test.x.float(), test.y).first(size.test) if recipe.data.test else None
    start = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        samples = split(dataset, recipe.data, recipe.seed)
        training = Training(recipe, samples, RunFolder(Path(place)), test=curve)
        while not training.done:
            training.step()
    training.dual.eval()
    spent = time.process_time() - start
    shown = {"data": run.data, "arch": recipe.network.arch, "batch_norm": recipe.network.batch_norm}
    return training.dual, {**shown, "cpu_seconds": spent, "log": training.progress.rows}


def strong(eps: float, step: float, size: Size, steps: int = 50) -> Pgd:
    """The attack of the evaluations: PGD on cross-entropy from random starts; `step` in units of the input."""
    return Pgd(steps, step / eps, size.restarts, objective="cross-entropy", start="uniform", keep="first")


def accuracy(dual: DualNetwork, data: str, region: PerturbationSet | None, attack: Attack | None, size: Size) -> float:
    """Accuracy in percent on the first test samples, clean (region and attack None) or under an attack."""
    wrong = count = 0
    for x, y in size.batches(data, 500):
        count += len(x)
        placed = (region or autodual.LinfBall(0.0)).at(x)
        wrong += int(broken(dual.outputs, placed, y, attack).sum())
    return 100 * (1 - wrong / count)


def fraction(words: Any) -> float:
    """A number that may be written as a fraction, such as 8/255."""
    return float(Fraction(str(words)))
