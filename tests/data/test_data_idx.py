"""IDX files: what the header announces is what is read, anything else is refused."""

from __future__ import annotations

import gzip
import struct

import numpy
import pytest

from autodual.data import read_idx
from autodual.errors import DataError


def idx(array: numpy.ndarray, code: int = 0x08) -> bytes:
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("compressed", [False, True])
def test_bytes_round_trip(tmp_path, compressed):
    array = numpy.arange(24, dtype=numpy.uint8).reshape(2, 3, 4)
    path = tmp_path / "images"
    path.write_bytes(gzip.compress(idx(array)) if compressed else idx(array))
    assert numpy.array_equal(read_idx(path), array)


def test_numbers_come_in_the_machines_byte_order(tmp_path):
    array = numpy.array([1.5, -2.0], dtype=numpy.float32)
    (tmp_path / "floats").write_bytes(idx(array, 0x0D))
    found = read_idx(tmp_path / "floats")
    assert found.dtype.isnative
    assert numpy.array_equal(found, array)


def test_damage_is_named(tmp_path):
    path = tmp_path / "file"
    content = idx(numpy.zeros((2, 3), dtype=numpy.uint8))
    cases = {
        b"": "no IDX header",
        b"\x00\x00\x07\x01": "no IDX header",
        content[:6]: "header is incomplete",
        content[:-1]: r"announces 6 bytes of data \(2, 3\), it holds 5",
        content + b"\0": "it holds 7",
        gzip.compress(content)[:-5]: "cannot be read",
        b"\x1f\x8bnonsense": "cannot be read",
        b"\x00\x00\x08\x02" + b"\xff" * 8: "announces",
    }
    for damaged, message in cases.items():
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=message):
            read_idx(path)
    with pytest.raises(DataError, match="There is no data file"):
        read_idx(tmp_path / "absent")
