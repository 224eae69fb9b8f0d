"""The settings of chapter 3's trainings, as recipes: those of section 3.3 and those of section 3.5."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import autodual
from autodual.perturbations import PerturbationSet
from autodual.train.recipe import Recipe, assemble
from thesis_tables.networks import arch_of
from thesis_tables.size import Size
from thesis_tables.table import Row

NORMS = {"linf": float("inf"), "l2": 2.0}
#: The text names SGD alone; the other settings are those of the released code.
_SGD = {"kind": "sgd", "momentum": 0.9, "nesterov": False, "weight_decay": 5e-4, "decayed": "all"}
_CIFAR = {"mean": [0.485, 0.456, 0.406], "std": [0.225] * 3, "shift": 4, "flip": True}


def radius(row: Row) -> float:
    """The radius that a row names, such as 2/255."""
    return float(Fraction(str(row["eps"])))


def ball(row: Row) -> PerturbationSet:
    """The perturbation set of a row, not clipped to images, as in the thesis' text."""
    return autodual.LpBall(NORMS[row["norm"]], radius(row))


def section_3_3(row: Row, size: Size, *, robust: bool = True) -> Recipe:
    """The recipe of Tables 3.1 to 3.3: exact bounds, 100 epochs of Adam at a constant learning rate."""
    data, whole = row["dataset"], {"mnist": (0.05, 50), "fashion-mnist": (0.05, 50), "svhn": (0.001, 50)}
    return _recipe(
        row,
        size,
        100,
        *whole.get(data, (radius(row), 0)),
        robust=robust,
        batch_size=20 if data == "svhn" else 50,
        learning_rate=1e-4 if data == "har" else 1e-3,
    )


def section_3_5(row: Row, size: Size, *, projection: int = 50, stages: int = 1, robust: bool = True) -> Recipe:
    """The recipe of Tables 3.5 to 3.7: 60 epochs, the learning rate halved at 30, 40 and 50."""
    cifar = row["dataset"] == "cifar10"
    unit = (size.epochs or 60) / 60
    halvings = [place * unit for place in (30, 40, 50)]
    return _recipe(
        row,
        size,
        60,
        0.001 if cifar else 0.01,
        20,
        robust=robust,
        batch_size=50,
        projection=projection,
        stages=stages,
        helpful_stages=stages > 1,
        learning_rate={"kind": "steps", "start": 0.05 if cifar else 1e-3, "at": halvings, "factor": 0.5},
        optimiser=_SGD if cifar else {},
    )


def _recipe(row: Row, size: Size, epochs: int, first: float, ramp: int, *, robust: bool, **more: Any) -> Recipe:
    """A recipe of so many epochs, or of `size.epochs`, to which the ramp of the radius over `ramp` epochs is scaled.

    At the thesis' own length the radius takes a step each epoch and is whole in the last epoch of the ramp. Shorter
    trainings have too few epochs for that; their radius grows in a straight line.
    """
    held = min(200, size.limit // 5) if size.limit else 1000
    chosen: Mapping[str, Any] = {
        "epochs": size.epochs or epochs,
        "radius": _ramp(min(1.0, first / (radius(row) or 1.0)), ramp, (size.epochs or epochs) / epochs),
        "data": {"limit": size.limit, "hold_out": held, **(_CIFAR if row["dataset"] == "cifar10" else {})},
        "network": {"arch": arch_of(row)},
        "set": {"eps": radius(row), "norm": NORMS[row["norm"]]},
        "loss": "robust" if robust else "clean",
        "validation": {"bounds": "dual", "samples": 100, "attack_steps": 0},
    }
    return assemble(Recipe, {**chosen, **more})


def _ramp(start: float, epochs: int, unit: float) -> Any:
    if not epochs or start == 1:
        return 1.0
    line = {"kind": "linear", "start": start, "end": 1.0}
    return {**line, "finish": epochs - 1, "by_epoch": True} if unit == 1 else {**line, "finish": epochs * unit}
