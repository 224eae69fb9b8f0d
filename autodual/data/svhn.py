"""SVHN's cropped digits: MATLAB files of images `X` and labels `y`."""

from __future__ import annotations

from pathlib import Path

import numpy

from autodual.data.hashed_files import ReadFiles, holds
from autodual.data.matlab import parse_matlab
from autodual.data.sample_arrays import require_range
from autodual.errors import DataError


def read_part(directory: Path, part: str, files: ReadFiles) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Images `[N, 3, 32, 32]` (uint8) and labels `[N]` from 0 to 9 of the part `train` or `test`.

    Raises:
        DataError: the file is missing or damaged.
    """
    name = f"{part}_32x32.mat"
    if not holds(directory, name):
        raise DataError(
            f"There is no '{name}' in '{directory}'; fetch it from http://ufldl.stanford.edu/housenumbers/."
        )
    path = directory / name
    images, labels = _arrays(path, files.read(path))
    require_range(path, labels, 1, 10)
    return images.transpose(3, 2, 0, 1), labels % 10  # label 10 is the digit 0


def _arrays(path: Path, content: bytes) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Images `[32, 32, 3, N]` (uint8) and labels `[N]` as stored.

    Raises:
        DataError: the file cannot be read, or its arrays have another form.
    """
    found = _load(path, content)
    images, labels = found.get("X"), found.get("y")
    if images is None or labels is None:
        raise DataError(f"'{path}' does not hold the arrays 'X' and 'y'; fetch SVHN's cropped digits (format 2).")
    if images.ndim != 4 or images.shape[:3] != (32, 32, 3) or images.dtype != numpy.uint8:
        raise DataError(
            f"'X' in '{path}' has shape {images.shape} and type {images.dtype}; expected [32, 32, 3, N] and uint8."
        )
    if labels.shape != (images.shape[3], 1) or labels.dtype.kind not in "iu":
        raise DataError(
            f"'y' in '{path}' has shape {labels.shape} and type {labels.dtype}; "
            f"expected [{images.shape[3]}, 1] and integers."
        )
    return images, labels[:, 0]


def _load(path: Path, content: bytes) -> dict[str, numpy.ndarray]:
    try:
        return parse_matlab(str(path), content)
    except NotImplementedError:
        raise DataError(f"'{path}' is a MATLAB file of version 7.3; fetch SVHN's own file, of version 5.") from None
    except ValueError:
        raise DataError(f"'{path}' is truncated, damaged or no MATLAB file.") from None
