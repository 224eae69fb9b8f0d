"""The data sets that have a name: which format they are stored in, and which files are looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """The training and the test part of one data set.

    title: what people call it. samples: what it holds, in the plural. format: the module of `autodual.data` that reads
    it. folder: what is in the folder that it is read from.
    """

    title: str
    samples: str
    format: str
    folder: str


FAMILIES: Mapping[str, Family] = {
    "mnist": Family("MNIST", "images", "idx", "MNIST's IDX files, gzipped or not"),
    "fashion-mnist": Family("Fashion-MNIST", "images", "idx", "Fashion-MNIST's IDX files, gzipped or not"),
    "cifar10": Family(
        "CIFAR-10", "images", "cifar", "the files of CIFAR-10's binary version, or cifar-10-batches-bin with them"
    ),
    "svhn": Family("SVHN", "images", "svhn", "SVHN's files train_32x32.mat and test_32x32.mat"),
    "har": Family("UCI HAR", "samples", "har", "UCI HAR's folders train and test, or 'UCI HAR Dataset' with them"),
}
"""By the name that stands before the colon."""

DATA_SETS: Mapping[str, str] = {
    f"{name}:{part}": family.folder for name, family in FAMILIES.items() for part in ("train", "test")
}
"""What `load_dataset` takes together with a folder: each name, and what is in that folder."""
