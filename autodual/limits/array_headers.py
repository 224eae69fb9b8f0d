"""Reading NumPy's `.npy` format; the header must agree with what the file holds."""

from __future__ import annotations

import io
import math
import os
from typing import IO

import numpy

from autodual.limits.bounded_reading import read_file
from autodual.limits.budgets import MEMORY

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000
_BLOCK = 2**24
"""Bytes read at a time: a compressed stream holds twice the bytes that are asked of it."""

_READERS = {1: numpy.lib.format.read_array_header_1_0, 2: numpy.lib.format.read_array_header_2_0}


def parse_array(name: str, file: IO[bytes], size: int) -> numpy.ndarray:
    """The array in the `.npy` content of `file`.

    Args:
        name: of the file, for messages.
        file: may be a compressed stream.
        size: of the content, in bytes.

    Raises:
        BudgetError: the array would take more memory than a file may.
        ValueError: the content is not `.npy`, holds Python objects, or does not have the size that its header says.
    """
    start = file.read(12)
    if start[:6] != _MAGIC or len(start) < 12 or start[6] not in (1, 2, 3):
        raise ValueError("no array of NumPy")
    first = 10 if start[6] == 1 else 12
    length = int.from_bytes(start[8:first], "little")
    if length > _LONGEST_HEADER:
        raise ValueError("the header is too long")
    header = start + file.read(length - (12 - first))
    try:
        read = _READERS[min(start[6], 2)]
        shape, fortran, dtype = read(io.BytesIO(header[8:]), max_header_size=_LONGEST_HEADER)
    except Exception as error:  # NumPy parses the header with Python's own parser, which may raise anything
        raise ValueError("the header is damaged") from error
    expected = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or min(shape, default=0) < 0 or expected != size - len(header):
        raise ValueError("the array is not what its header says")
    MEMORY.require(name, "its array", expected + _widened(dtype) * math.prod(shape))
    flat = numpy.empty(expected, numpy.uint8)
    for place in range(0, expected, _BLOCK):
        block = file.read(min(_BLOCK, expected - place))
        if len(block) != min(_BLOCK, expected - place):
            raise ValueError("the array is cut")
        flat[place : place + len(block)] = numpy.frombuffer(block, numpy.uint8)
    flat = flat.view(dtype) if expected else numpy.empty(0, dtype)
    return flat.reshape(shape[::-1]).transpose() if fortran else flat.reshape(shape)


def _widened(dtype: numpy.dtype) -> int:
    """Extra bytes per number of a type that is widened to float32 when it is read."""
    return 4 if dtype == numpy.uint8 or dtype == numpy.float16 else 0


def load_array(path: str | os.PathLike[str]) -> numpy.ndarray:
    """The array in an `.npy` file.

    Args:
        path: the file.

    Raises:
        BudgetError, ValueError: as `parse_array`.
        OSError: there is no such file, or it cannot be read.

    Example:
        >>> import numpy
        >>> from autodual.limits.array_headers import load_array
        >>> numpy.save("three.npy", numpy.arange(3))
        >>> load_array("three.npy").tolist()
        [0, 1, 2]
    """
    content = read_file(path)
    return parse_array(str(path), io.BytesIO(content), len(content))
