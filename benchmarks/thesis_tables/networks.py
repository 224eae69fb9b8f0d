"""The networks of the thesis, by their names in its tables."""

from __future__ import annotations

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
CLASSES = {"har": 6}
#: One hidden layer of 500 units.
_SHALLOW = ("har_500", "mnist_500")


def arch_of(row: Row) -> str:
    """The name of an architecture as autodual spells it: wide:8 for wide(8)."""
    name = str(row["model"])
    return "shallow:500" if name in _SHALLOW else name.replace("(", ":").rstrip(")")


def model_of(row: Row) -> nn.Module:
    """The untrained network of a row."""
    return build_architecture(arch_of(row), SHAPES[row["dataset"]], CLASSES.get(row["dataset"], 10))
