"""The named data sets: their formats and their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Family:
    """A data set with a training and a test part.

    title: what people call it. samples: a plural for what it holds. format: the module of `autodual.data` that reads
    it. folder: what its folder holds, in words. begins: the first labels of each part, to tell it from another data set
    whose files have the same names.
    """

    title: str
    samples: str
    format: str
    folder: str
    begins: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


FAMILIES: Mapping[str, Family] = {
    "mnist": Family(
        "MNIST",
        "images",
        "idx",
        "MNIST's IDX files, gzipped or not",
        {"train": (5, 0, 4, 1, 9, 2, 1, 3, 1, 4), "test": (7, 2, 1, 0, 4, 1, 4, 9, 5, 9)},
    ),
    "fashion-mnist": Family(
        "Fashion-MNIST",
        "images",
        "idx",
        "Fashion-MNIST's IDX files, gzipped or not",
        {"train": (9, 0, 0, 3, 0, 2, 7, 2, 5, 5), "test": (9, 2, 1, 1, 6, 1, 4, 6, 5, 7)},
    ),
    "cifar10": Family(
        "CIFAR-10", "images", "cifar", "the files of CIFAR-10's binary version, or cifar-10-batches-bin with them"
    ),
    "svhn": Family("SVHN", "images", "svhn", "SVHN's files train_32x32.mat and test_32x32.mat"),
    "har": Family("UCI HAR", "samples", "har", "UCI HAR's folders train and test, or 'UCI HAR Dataset' with them"),
}
"""By the part of the name before the colon."""

DATA_SETS: Mapping[str, str] = {
    f"{name}:{part}": family.folder for name, family in FAMILIES.items() for part in ("train", "test")
}
"""The names that `load_dataset` takes together with a folder, and what the folder must hold, in words."""
