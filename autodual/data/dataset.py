"""`load_dataset`: inputs and labels from a `.npz` file, from MNIST's IDX files or from the shipped sample."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass, replace
from importlib import resources
from os import PathLike
from pathlib import Path

import numpy
from torch import Tensor

from autodual.data.arrays import as_inputs, as_labels
from autodual.data.idx import read_idx
from autodual.errors import DataError

_SAMPLE = "mnist_test_1000.npz"
_MNIST = {"mnist:test": "t10k", "mnist:train": "train"}
_INPUTS = ("x", "images")
_LABELS = ("y", "labels")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples `x` `[N, *shape]` (float32, or float64 where so stored) and labels `y` `[N]` (int64) or None.

    `sha256` is that of the file(s).
    """

    x: Tensor
    y: Tensor | None
    name: str
    description: str
    sha256: str

    def __len__(self) -> int:
        return self.x.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return tuple(self.x.shape[1:])

    def slice(self, start: int, stop: int) -> Dataset:
        """Samples start to stop - 1; fewer where the data set ends."""
        return replace(self, x=self.x[start:stop], y=None if self.y is None else self.y[start:stop])

    def check_labels(self, classes: int) -> None:
        """Raise DataError naming the first sample whose label is not below `classes`."""
        if self.y is not None and bool((self.y >= classes).any()):
            index = int((self.y >= classes).nonzero()[0])
            raise DataError(
                f"The label of sample {index} of '{self.name}' is {int(self.y[index])}, "
                f"but the network has the classes 0 to {classes - 1}."
            )


def load_dataset(specification: str | PathLike[str], directory: str | PathLike[str] | None = None) -> Dataset:
    """The data set that `specification` names.

    Args:
        specification: the path of a `.npz` file with an array `x` or `images` and, unless there are no labels, `y` or
            `labels`; `mnist:test` or `mnist:train` (IDX files in `directory`); or `sample`, the first 1,000 MNIST test
            images, which ship with autodual.
        directory: where the IDX files are.

    Raises:
        DataError: there is no such data set, or it is truncated, malformed, or holds NaN.
    """
    name = str(specification)
    if name in _MNIST:
        return _load_mnist(name, directory)
    if name == "sample":
        content = resources.files("autodual.data").joinpath("samples").joinpath(_SAMPLE).read_bytes()
        dataset = _parse_npz(name, content)
        return replace(dataset, description=f"the first 1,000 MNIST test images ({dataset.description})")
    path = Path(name)
    if path.suffix != ".npz":
        raise DataError(f"'{name}' is no data set: give a .npz file, mnist:test, mnist:train or sample.")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"There is no data file '{path}'.") from None
    except OSError as error:
        raise DataError(f"The data file '{path}' cannot be read: {error.strerror}.") from None
    return _parse_npz(name, content)


def _parse_npz(name: str, content: bytes) -> Dataset:
    try:
        # Without pickles an array of objects cannot be read, so a data file cannot execute code.
        with numpy.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in (*_INPUTS, *_LABELS) if key in archive.files}
            found = list(archive.files)
    except (ValueError, OSError, EOFError, KeyError, AttributeError, TypeError, zipfile.BadZipFile):
        raise DataError(f"'{name}' is damaged, holds pickled objects or is no .npz file.") from None
    inputs, labels = ([key for key in keys if key in arrays] for keys in (_INPUTS, _LABELS))
    if len(inputs) != 1 or len(labels) > 1:
        raise DataError(f"'{name}' holds the arrays {found}; expected one of 'x', 'images' and one of 'y', 'labels'.")
    x, scaling = as_inputs(name, arrays[inputs[0]])
    y = as_labels(name, arrays[labels[0]], len(x)) if labels else None
    return Dataset(x, y, name, scaling, hashlib.sha256(content).hexdigest())


def _load_mnist(name: str, directory: str | PathLike[str] | None) -> Dataset:
    if directory is None:
        raise DataError(f"Say where the IDX files of {name} are with --data-dir.")
    part = _MNIST[name]
    images_path = _find(Path(directory), f"{part}-images-idx3-ubyte")
    labels_path = _find(Path(directory), f"{part}-labels-idx1-ubyte")
    images = read_idx(images_path)
    if images.ndim != 3:
        raise DataError(f"'{images_path}' has shape {images.shape}; expected images [N, height, width].")
    x, scaling = as_inputs(name, images[:, None])
    y = as_labels(name, read_idx(labels_path), len(x))
    digest = hashlib.sha256(images_path.read_bytes() + labels_path.read_bytes()).hexdigest()
    return Dataset(x, y, name, f"MNIST {name.partition(':')[2]} images ({scaling})", digest)


def _find(directory: Path, stem: str) -> Path:
    for candidate in (directory / stem, directory / f"{stem}.gz"):
        if candidate.is_file():
            return candidate
    raise DataError(f"There is no '{stem}' or '{stem}.gz' in '{directory}'.")
