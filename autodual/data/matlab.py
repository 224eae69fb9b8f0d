"""MATLAB files of version 5, as far as SVHN needs them: arrays of numbers by name, compressed or not.

scipy reads these files too, but trusts the type codes and sizes in them, so that a forged file crashes the process.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator

import numpy

from autodual.limits import MEMORY

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_NUMERIC = range(6, 16)
"""Array classes of numbers: doubles, singles and integers. Lower ones are cells, structures, objects and texts."""

_COMPLEX = 0x08


def parse_matlab(name: str, content: bytes) -> dict[str, numpy.ndarray]:
    """The arrays of real numbers in a file, by name, in the types in which they are stored; others are left out.

    Raises:
        BudgetError: an array would take more memory than a file may; `name` is for the message.
        ValueError: the content is not such a file, or is damaged.
        NotImplementedError: the file is of version 7.3, which is HDF5.
    """
    if len(content) < _HEADER or content[126:128] not in (b"IM", b"MI"):
        raise ValueError("no MATLAB file")
    order = "<" if content[126:128] == b"IM" else ">"
    (version,) = struct.unpack(f"{order}H", content[124:126])
    if version == 0x0200:
        raise NotImplementedError("version 7.3")
    found = {}
    for kind, data in _elements(memoryview(content)[_HEADER:], order, aligned=False):
        if kind == _COMPRESSED:
            kind, data = _unpacked(name, data, order)
        array = _array(name, data, order) if kind == _MATRIX else None
        if array is not None:
            found[array[0]] = array[1]
    return found


def _elements(data: memoryview, order: str, *, aligned: bool) -> Iterator[tuple[int, memoryview]]:
    """The type and content of each element; inside arrays (`aligned`), elements start at multiples of 8 bytes."""
    start = 0
    while start < len(data):
        if len(data) - start < 8:
            raise ValueError("the file is cut")
        kind, size = struct.unpack_from(f"{order}II", data, start)
        first = start + 8
        if kind >> 16:  # a small element: up to four bytes of content follow the type and size at once
            kind, size, first = kind & 0xFFFF, kind >> 16, start + 4
            if size > 4:
                raise ValueError("a small element is too long")
        if size > len(data) - first:
            raise ValueError("the file is cut")
        yield kind, data[first : first + size]
        start = start + 8 if first == start + 4 else first + size + (-size % 8 if aligned else 0)


def _unpacked(name: str, data: memoryview, order: str) -> tuple[int, memoryview]:
    """The one element inside a compressed one; no more is unpacked than its size says."""
    unpacker = zlib.decompressobj()
    try:
        tag = unpacker.decompress(data, 8)
        kind, size = struct.unpack(f"{order}II", tag)
        MEMORY.require(name, "its array", size)
        content = unpacker.decompress(unpacker.unconsumed_tail, size) if size else b""
        content += unpacker.flush() if len(content) < size else b""
    except (zlib.error, struct.error):
        raise ValueError("compressed data are damaged") from None
    if len(content) != size:
        raise ValueError("the file is cut")
    return kind, memoryview(content)


def _array(name: str, data: memoryview, order: str) -> tuple[str, numpy.ndarray] | None:
    """The name and the numbers of an array; None if it is not an array of real numbers."""
    parts = list(_elements(data, order, aligned=True))
    if len(parts) < 4:
        return None  # arrays of other classes may have fewer parts
    (_, flags), (_, sizes), (_, called), (kind, numbers) = parts[:4]
    if len(flags) < 4 or len(sizes) % 4:
        raise ValueError("the header of an array is damaged")
    (word,) = struct.unpack_from(f"{order}I", flags)
    if word & 0xFF not in _NUMERIC or (word >> 8) & _COMPLEX or kind not in _TYPES:
        return None
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    dtype = numpy.dtype(order + _TYPES[kind])
    if len(shape) > 8 or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(numbers):
        raise ValueError("an array is not what its header says")
    flat = numpy.frombuffer(numbers, dtype) if len(numbers) else numpy.empty(0, dtype)
    return bytes(called).decode("latin1"), flat.reshape(shape, order="F").astype(dtype.newbyteorder("="), copy=False)
