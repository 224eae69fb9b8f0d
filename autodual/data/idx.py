"""The IDX format of the MNIST family: a header of sizes, then the raw numbers, often gzipped."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from os import PathLike
from pathlib import Path

import numpy

from autodual.data.arrays import require_range
from autodual.data.reading import ReadFiles, holds, read_bytes
from autodual.errors import DataError

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"
_LARGEST = 2**33
_STEMS = {"train": "train", "test": "t10k"}


def read_idx(path: str | PathLike[str]) -> numpy.ndarray:
    """The array in an IDX file, gzipped or plain, in the machine's byte order.

    Args:
        path: the file.

    Raises:
        DataError: the file is missing, is not IDX, or does not hold exactly the numbers that its header announces.

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
        DataError: a file is missing or is no such IDX file.
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
    content = _unpacked(path, stored)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES:
        raise DataError(f"'{path}' is not an IDX file: its first four bytes are no IDX header.")
    dtype = numpy.dtype(_DTYPES[content[2]])
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise DataError(f"'{path}' is truncated: its IDX header is incomplete.")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    expected = math.prod(shape) * dtype.itemsize
    if len(content) - start != expected:
        raise DataError(
            f"'{path}' is truncated or damaged: its header announces {expected} bytes of data {shape}, "
            f"it holds {len(content) - start}."
        )
    return numpy.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _unpacked(path: Path, stored: bytes) -> bytes:
    if not stored.startswith(_GZIP):
        return stored
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(stored)).read(_LARGEST)
    except (OSError, EOFError, zlib.error):
        raise DataError(f"'{path}' is truncated or damaged: it cannot be read.") from None
