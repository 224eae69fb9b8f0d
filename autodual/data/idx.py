"""The IDX format of the MNIST family: a header of sizes, then the raw numbers, often gzipped."""

from __future__ import annotations

import gzip
import io
import math
import struct
import sys
import zlib
from os import PathLike
from pathlib import Path

import numpy

from autodual.data.hashed_files import ReadFiles, holds, read_bytes
from autodual.data.sample_arrays import require_range
from autodual.errors import DataError
from autodual.limits import MEMORY

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"
_MOST_AXES = 8
_STEMS = {"train": "train", "test": "t10k"}


def read_idx(path: str | PathLike[str]) -> numpy.ndarray:
    """The array in an IDX file, gzipped or plain, in the machine's byte order.

    Args:
        path: the file.

    Raises:
        DataError: the file is missing, is not IDX, or does not hold exactly the numbers that its header announces.
        BudgetError: the numbers would take more memory than a file may.

    Example:
        >>> from pathlib import Path
        >>> from autodual.data import read_idx
        >>> _ = Path("three.idx").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
        >>> read_idx("three.idx").tolist()
        [7, 8, 9]
    """
    return _parse(Path(path), read_bytes(Path(path)))


def read_part(directory: Path, part: str, files: ReadFiles) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Images `[N, 1, height, width]` and labels `[N]` from 0 to 9 of the part `train` or `test`.

    Raises:
        DataError: a file is missing or damaged.
    """
    images_path = _find(directory, f"{_STEMS[part]}-images-idx3-ubyte")
    labels_path = _find(directory, f"{_STEMS[part]}-labels-idx1-ubyte")
    images, labels = (_parse(path, files.read(path)) for path in (images_path, labels_path))
    if images.ndim != 3:
        raise DataError(f"'{images_path}' has shape {images.shape}; expected images [N, height, width].")
    if labels.ndim != 1:
        raise DataError(f"'{labels_path}' has shape {labels.shape}; expected labels [N].")
    require_range(labels_path, labels, 0, 9)
    return images[:, None], labels


def _find(directory: Path, stem: str) -> Path:
    for name in (stem, f"{stem}.gz"):
        if holds(directory, name):
            return directory / name
    raise DataError(f"There is no '{stem}' or '{stem}.gz' in '{directory}'.")


def _parse(path: Path, stored: bytes) -> numpy.ndarray:
    with io.BytesIO(stored) as plain:
        zipped = stored.startswith(_GZIP)
        try:
            return _read(path, gzip.GzipFile(fileobj=plain) if zipped else plain)
        except (OSError, EOFError, zlib.error):
            raise DataError(f"'{path}' is truncated or damaged: it cannot be read.") from None


def _read(path: Path, file: gzip.GzipFile | io.BytesIO) -> numpy.ndarray:
    """The array in the content of `file`; no more is unpacked than the header announces."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _DTYPES:
        raise DataError(f"'{path}' is not an IDX file: its first four bytes are no IDX header.")
    dtype, axes = numpy.dtype(_DTYPES[start[2]]), start[3]
    sizes = file.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise DataError(f"'{path}' is truncated: its IDX header is incomplete.")
    shape = struct.unpack(f">{axes}I", sizes)
    if axes > _MOST_AXES:
        raise DataError(f"'{path}' is damaged: its IDX header announces {axes} axes.")
    expected = math.prod(shape) * dtype.itemsize
    if isinstance(file, gzip.GzipFile):  # uncompressed data cannot be larger than the file
        MEMORY.require(str(path), f"its data {shape}", expected)
    content = file.read(min(expected, sys.maxsize))
    if len(content) != expected or file.read(1):
        found = f"it holds {len(content)}" if len(content) < expected else "it holds more"
        raise DataError(
            f"'{path}' is truncated or damaged: its header announces {expected} bytes of data {shape}, {found}."
        )
    try:
        return numpy.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    except ValueError:  # an empty array whose nonzero sizes overflow
        raise DataError(f"'{path}' is damaged: its IDX header announces data {shape}.") from None
