"""The networks of the thesis, by their names in its tables."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from autodual.architectures import build_architecture
from thesis_tables.table import Row

SHAPES = {
    "mnist": (1, 28, 28),
    "fashion-mnist": (1, 28, 28),
    "cifar10": (3, 32, 32),
    "svhn": (3, 32, 32),
    "har": (561,),
}


def har_network() -> nn.Sequential:
    """One hidden layer of 500 units."""
    return nn.Sequential(nn.Linear(561, 500), nn.ReLU(), nn.Linear(500, 6))


def factory_of(data: str) -> Callable[[], nn.Module] | None:
    """The factory for data sets whose network has no named architecture (HAR); None for others."""
    return har_network if data == "har" else None


def arch_of(row: Row) -> str:
    """The name of an architecture as autodual spells it: wide:8 for wide(8)."""
    return str(row["model"]).replace("(", ":").rstrip(")")


def model_of(row: Row) -> nn.Module:
    """The untrained network of a row."""
    factory = factory_of(row["dataset"])
    return factory() if factory is not None else build_architecture(arch_of(row), SHAPES[row["dataset"]], 10)
