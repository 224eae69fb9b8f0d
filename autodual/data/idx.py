"""The IDX format of the MNIST family: a header of sizes, then the raw numbers, often gzipped."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from os import PathLike
from pathlib import Path

import numpy

from autodual.errors import DataError

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"
_LARGEST = 2**33


def read_idx(path: str | PathLike[str]) -> numpy.ndarray:
    """The array in an IDX file, gzipped or plain, in the machine's byte order.

    Raises:
        DataError: the file is missing, is not IDX, or does not hold exactly the numbers that its header announces.
    """
    content = _read(Path(path))
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


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            magic = file.read(2)
            file.seek(0)
            content = gzip.GzipFile(fileobj=file).read(_LARGEST) if magic == _GZIP else file.read()
    except FileNotFoundError:
        raise DataError(f"There is no data file '{path}'.") from None
    except (OSError, EOFError, zlib.error):
        raise DataError(f"'{path}' is truncated or damaged: it cannot be read.") from None
    return content
