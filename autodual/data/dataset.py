"""`load_dataset`: inputs and labels from a `.npz` file, the files of a named data set, or the shipped sample."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from os import PathLike
from pathlib import Path

import numpy
from torch import Tensor

from autodual.data import cifar, har, idx, svhn
from autodual.data.hashed_files import DataFile, ReadFiles, read_bytes
from autodual.data.named_data_sets import DATA_SETS, FAMILIES
from autodual.data.npz import parse_npz
from autodual.data.sample_arrays import as_inputs, as_labels
from autodual.errors import DataError

_SAMPLE = "mnist_test_1000.npz"

# By format: reads the part `train` or `test` in a folder; ReadFiles keeps the digests.
_READERS: Mapping[str, Callable[[Path, str, ReadFiles], tuple[numpy.ndarray, numpy.ndarray]]] = {
    "cifar": cifar.read_part,
    "har": har.read_part,
    "idx": idx.read_part,
    "svhn": svhn.read_part,
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples with or without labels. `load_dataset` makes it.

    Args:
        x: `[N, *shape]`, float32, or float64 if so stored.
        y: int64 labels `[N]`, or label maps `[N, *positions]`, -100 at ignored positions; or None.
        name: as it was given.
        description: in words.
        sha256: digest of the bytes of `files`, one after the other.
        files: that were read; none for the sample that ships with autodual.

    Example:
        >>> from autodual.data import load_dataset
        >>> few = load_dataset("sample").slice(0, 5)
        >>> len(few), few.shape, few.y
        (5, (1, 28, 28), tensor([7, 2, 1, 0, 4]))
    """

    x: Tensor
    y: Tensor | None
    name: str
    description: str
    sha256: str
    files: tuple[DataFile, ...] = ()

    def __len__(self) -> int:
        return self.x.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return tuple(self.x.shape[1:])

    def slice(self, start: int, stop: int) -> Dataset:
        """Samples `start` to `stop` - 1, or fewer if the data set ends before.

        Args:
            start, stop: as of Python's slices.
        """
        return replace(self, x=self.x[start:stop], y=None if self.y is None else self.y[start:stop])

    def check_labels(self, classes: int) -> None:
        """Check that all labels are classes of a network.

        Args:
            classes: the number of the network's classes.

        Raises:
            DataError: a label is not below `classes`; the message names the first such sample.
        """
        if self.y is not None and bool((self.y >= classes).any()):
            bad = self.y >= classes
            raise DataError(
                f"The label of sample {int(bad.nonzero()[0, 0])} of '{self.name}' is {int(self.y[bad][0])}, "
                f"but the network has the classes 0 to {classes - 1}."
            )


def load_dataset(specification: str | PathLike[str], directory: str | PathLike[str] | None = None) -> Dataset:
    """The data set that `specification` names.

    Args:
        specification: a name among `DATA_SETS`, such as `mnist:test`, whose files are in `directory`; the path of a
            `.npz` file with an array `x` or `images` and, unless there are no labels, `y` or `labels`; or `sample`, the
            first 1,000 MNIST test images, which ship with autodual.
        directory: where the files of a named data set are.

    Raises:
        DataError: there is no such data set, or it is truncated or malformed, or holds NaN or invalid labels.

    Example:
        >>> from autodual.data import load_dataset
        >>> load_dataset("sample").x.shape
        torch.Size([1000, 1, 28, 28])
    """
    name = str(specification)
    if name in DATA_SETS:
        return _load_named(name, directory)
    if name == "sample":
        return _load_sample(name)
    if Path(name).suffix == ".npz":
        return _load_npz(name)
    if Path(name).is_file():
        read_bytes(Path(name))  # raises for files that are recognised as something else
    raise DataError(f"'{name}' is no data set: give a .npz file, sample, or one of {', '.join(DATA_SETS)}.")


def _load_named(name: str, directory: str | PathLike[str] | None) -> Dataset:
    if directory is None:
        raise DataError(f"{name} is read from a folder that holds {DATA_SETS[name]}; give it with directory=.")
    folder = Path(directory)
    if not os.path.isdir(folder):  # unlike Path.is_dir, it does not raise without permission
        raise DataError(f"There is no folder '{folder}'; give one that holds {DATA_SETS[name]}.")
    key, _, part = name.partition(":")
    family, read = FAMILIES[key], ReadFiles()
    x, y = _READERS[family.format](folder, part, read)
    _refuse_another(name, part, y, folder)
    return _checked(name, x, y, f"{family.title} {part} {family.samples}", read.sha256, read.files)


def _refuse_another(name: str, part: str, labels: numpy.ndarray, folder: Path) -> None:
    """Raise DataError if the folder holds another data set, whose files have the same names."""
    for key, family in FAMILIES.items():
        begins = family.begins.get(part, ())
        if begins and f"{key}:{part}" != name and tuple(labels[: len(begins)].tolist()) == begins:
            raise DataError(f"'{folder}' holds {family.title}; name it {key}:{part}, or give another folder.")


def _load_sample(name: str) -> Dataset:
    content = resources.files("autodual.data").joinpath("samples").joinpath(_SAMPLE).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return _checked(name, *parse_npz(name, content), "the first 1,000 MNIST test images", digest, ())


def _load_npz(name: str) -> Dataset:
    read = ReadFiles()
    x, y = parse_npz(name, read.read(Path(name)))
    return _checked(name, x, y, "", read.sha256, read.files)


def _checked(
    name: str, x: numpy.ndarray, y: numpy.ndarray | None, title: str, sha256: str, files: tuple[DataFile, ...]
) -> Dataset:
    """The data set of these arrays, checked; its description says how they were scaled."""
    inputs, scaling = as_inputs(name, x)
    labels = None if y is None else as_labels(name, y, len(inputs))
    return Dataset(inputs, labels, name, f"{title} ({scaling})" if title else scaling, sha256, files)
