"""CIFAR-10's binary version: records of one byte for the label, then the image, one colour plane after the other.

The version for Python is refused: it is pickled, and reading a pickle can execute code.
"""

from __future__ import annotations

from pathlib import Path

import numpy

from autodual.data.hashed_files import ReadFiles, find_files, holds
from autodual.data.sample_arrays import require_range
from autodual.errors import DataError

_FILES = {"train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test": ("test_batch.bin",)}
_SUBFOLDER = "cifar-10-batches-bin"
_IMAGE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32
_KEPT = 6
"""Bytes of memory for each byte of a file: itself, its copy among all files, and its float32."""

_ADVICE = "unpack CIFAR-10's binary version (cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html)"


def read_part(directory: Path, part: str, files: ReadFiles) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Images `[N, 3, 32, 32]` and labels `[N]` from 0 to 9, both uint8, of the part `train` or `test`.

    Raises:
        DataError: a file is missing or damaged, or there is only the pickled version.
    """
    _refuse_pickles(directory, _FILES[part])
    paths = find_files(directory, _FILES[part], subfolder=_SUBFOLDER, advice=f"{_ADVICE} there")
    records = numpy.concatenate([_records(path, files.read(path, kept=_KEPT)) for path in paths])
    return records[:, 1:].reshape(-1, *_IMAGE), records[:, 0]


def _refuse_pickles(directory: Path, wanted: tuple[str, ...]) -> None:
    pickled = [name.removesuffix(".bin") for name in wanted]
    if any(holds(folder, *wanted) for folder in (directory, directory / _SUBFOLDER)):
        return
    for folder in (directory, directory / "cifar-10-batches-py"):
        if holds(folder, *pickled):
            raise DataError(
                f"'{folder}' holds CIFAR-10's version for Python, which is pickled and could execute code; {_ADVICE}."
            )


def _records(path: Path, content: bytes) -> numpy.ndarray:
    """The records `[N, 3073]` of one file, uint8."""
    if not content or len(content) % _RECORD:
        raise DataError(
            f"'{path}' is truncated or damaged: it holds {len(content)} bytes, "
            f"which are not one or more records of {_RECORD}."
        )
    records = numpy.frombuffer(content, numpy.uint8).reshape(-1, _RECORD)
    require_range(path, records[:, 0], 0, 9)
    return records
