"""Data sets: by name, from NumPy files, and the sample that ships with autodual.

Names are resolved at first use, so that the command line can list the data sets without loading torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autodual.data.dataset import Dataset, load_dataset
    from autodual.data.idx import read_idx
    from autodual.data.named_data_sets import DATA_SETS

_HOMES = {
    "DATA_SETS": "autodual.data.named_data_sets",
    "Dataset": "autodual.data.dataset",
    "load_dataset": "autodual.data.dataset",
    "read_idx": "autodual.data.idx",
}

__all__ = ["DATA_SETS", "Dataset", "load_dataset", "read_idx"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'autodual.data' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
