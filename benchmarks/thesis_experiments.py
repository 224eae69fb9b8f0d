"""The networks that the thesis trains, table by table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from autodual.architectures import build_architecture

SHAPES = {
    "mnist": (1, 28, 28),
    "fashion-mnist": (1, 28, 28),
    "cifar10": (3, 32, 32),
    "svhn": (3, 32, 32),
    "har": (561,),
}
CIFAR = {"mean": [0.485, 0.456, 0.406], "std": [0.225] * 3}


def har_network() -> nn.Sequential:
    """One hidden layer of 500 units."""
    return nn.Sequential(nn.Linear(561, 500), nn.ReLU(), nn.Linear(500, 6))


@dataclass(frozen=True)
class Run:
    """One line of a table: a network trained on a data set over balls of one radius.

    projection: columns, 0 for exact bounds. published: the thesis' certified error, if known here.
    """

    data: str = "mnist"
    arch: str = "small"
    eps: float = 0.1
    norm: float = math.inf
    projection: int = 0
    robust: bool = True
    stages: int = 1
    published: str = ""

    @property
    def words(self) -> str:
        """A description that tells the run from others."""
        norm = "l∞" if math.isinf(self.norm) else "l2"
        bounds = f"r = {self.projection}" if self.projection else "exact"
        how = bounds if self.robust else "standard training"
        return f"{self.data}, {norm} {self.eps:.4g}, {self.arch}, {how}"

    def build(self) -> nn.Module:
        """The untrained network."""
        return har_network() if self.arch == "har" else build_architecture(self.arch, SHAPES[self.data], 10)


@dataclass(frozen=True)
class Experiment:
    """Runs that belong together, and their place in the thesis."""

    place: str
    runs: tuple[Run, ...]


def _both(*, stages: int) -> Iterator[Run]:
    """The thesis' l∞ networks, single or as cascades."""
    yield Run(stages=stages, published="4.48 %" if stages == 1 else "")
    for arch in ("small", "large"):
        yield Run(arch=arch, projection=50, stages=stages, published="3.13 % (best cascade)" if stages > 1 else "")
    for arch in ("small", "large"):
        note = "33.64 % (best cascade)" if stages > 1 else ""
        yield Run(arch=arch, eps=0.3, projection=0 if arch == "small" else 50, stages=stages, published=note)
    for eps in (2 / 255, 8 / 255):
        for arch in ("small", "large", "resnet"):
            note = "36.4 % (best cascade)" if stages > 1 and eps < 0.01 else ""
            yield Run("cifar10", arch, eps, projection=50, stages=stages, published=note)


EXPERIMENTS = {
    "errors": Experiment(
        "Table 3.1: error rates of standard and robust training",
        tuple(
            Run(data, "har" if data == "har" else "small", eps, robust=robust, published=published if robust else "")
            for data, eps, published in (
                ("mnist", 0.1, "5.82 %"),
                ("fashion-mnist", 0.1, ""),
                ("har", 0.05, ""),
                ("svhn", 0.01, ""),
            )
            for robust in (False, True)
        ),
    ),
    "networks": Experiment("Single networks, l∞", tuple(_both(stages=1))),
    "cascades": Experiment("Cascades, l∞", tuple(_both(stages=3))),
    "l2": Experiment(
        "Networks and cascades, l2",
        tuple(
            Run(data, arch, eps, 2.0, 50, stages=stages)
            for data, arch, eps in (
                ("mnist", "small", 1.58),
                ("mnist", "large", 1.58),
                ("cifar10", "small", 36 / 255),
                ("cifar10", "large", 36 / 255),
                ("cifar10", "resnet", 36 / 255),
            )
            for stages in (1, 3)
        ),
    ),
    "wide": Experiment("Wide networks", tuple(Run(arch=f"wide:{size}", projection=50) for size in (1, 2, 4, 8, 16))),
    "deep": Experiment("Deep networks", tuple(Run(arch=f"deep:{size}", projection=50) for size in (1, 2, 3))),
    "projections": Experiment(
        "Training with exact bounds and with random projections",
        tuple(Run(projection=columns) for columns in (0, 10, 50)),
    ),
}
