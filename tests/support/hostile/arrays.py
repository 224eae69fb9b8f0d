"""Hostile files of data: NumPy's, the IDX format, CIFAR-10's, SVHN's and UCI HAR's."""

from __future__ import annotations

import functools
import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy
from support.hostile.format import Format, Named, Surroundings, content
from support.hostile.torch_files import zipped

_HUGE = 10**6
_X = numpy.linspace(0, 1, 12, dtype=numpy.float32).reshape(3, 4)
_Y = numpy.array([0, 1, 2])


def npy(array: numpy.ndarray, **options: Any) -> bytes:
    """An honest `.npy` file."""
    buffer = io.BytesIO()
    numpy.save(buffer, array, **options)
    return buffer.getvalue()


def claiming(header: str, data: bytes = bytes(48), version: int = 1) -> bytes:
    """An `.npy` file with this header."""
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode("latin1") + data


def _headers() -> Iterator[tuple[str, bytes]]:
    def form(descr: str, shape: str, order: str = "False") -> str:
        return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"

    floats = "'<f4'"
    for name, shape in {
        "a shape of terabytes": f"({_HUGE}, {_HUGE})",
        "a shape of 3 GiB": "(805306368, 1)",
        "a shape beyond 64 bits": f"({2**70}, 1)",
        "a shape of 4,000 digits": f"({'9' * 4000}, 1)",
        "a shape of 9,000 digits": f"({'9' * 9000}, 1)",
        "a negative shape": "(-3, -4)",
        "a shape of 1,000 axes": "(" + "1," * 1000 + ")",
        "a shape of nothing but axes of none": f"(0, {10**18})",
        "a shape of brackets": "(" * 3000 + ")" * 3000,
        "a shape of truths": "(True, True)",
        "a shape of a text": "'abc'",
        "a shape that is a power": "(9**9**9,)",
        "no shape": "()",
    }.items():
        yield name, claiming(form(floats, shape))
    for name, descr in {
        "objects": "'|O'",
        "records": "[('a', '<f4'), ('b', '<f8')]",
        "a record of terabytes": "[('a', '<f4', (1000000, 1000000))]",
        "nested records": "[('a', " * 60 + "'<f4'" + ")]" * 60,
        "dates": "'<M8[s]'",
        "texts": "'<U4'",
        "texts of a gigabyte": "'<U1000000000'",
        "nothing": "'V0'",
        "complex numbers": "'<c8'",
        "long numbers": "'<f16'",
        "a type of a million letters": "'" + "<" * 9000 + "'",
        "no type": "'abc'",
        "a number for a type": "7",
    }.items():
        yield f"an array of {name}", claiming(form(descr, "(3, 4)"), bytes(1000))
    yield "an array in Fortran's order", npy(numpy.asfortranarray(_X))
    yield "a header of 4 GiB", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(1000)
    yield "a header of 60,000 bytes", claiming(form(floats, "(3, 4)") + " " * 60_000)
    yield "a header that is a pickle", claiming("cos\nsystem\n(S'true'\ntR.")
    yield "a header of another version", claiming(form(floats, "(3, 4)"), version=9)
    yield "a header that calls", claiming(form(floats, "(print(1), 4)"))
    yield "no header", b"\x93NUMPY"
    yield "nothing", b""
    yield "more than its header says", npy(_X) + bytes(1000)
    yield "NaN", npy(numpy.full((3, 4), numpy.nan, numpy.float32))
    yield "huge numbers", npy(numpy.full((3, 4), 1e300))
    yield "bytes of text", npy(numpy.array([[b"a", b"b"]]))


def _npz() -> Named:
    honest = npy(_Y)
    for name, data in _headers():
        yield f"an archive with {name}", content(zipped({"x.npy": data, "y.npy": honest}))
        yield f"an archive with labels with {name}", content(zipped({"x.npy": npy(_X), "y.npy": data}))
    zeros = claiming("{'descr': '<f4', 'fortran_order': False, 'shape': (75000000, 4), }\n", b"")
    yield "a bomb of 1.2 GB", lambda path: _bomb(path, "x.npy", zeros, 1_200_000_000)
    pixels = claiming("{'descr': '|u1', 'fortran_order': False, 'shape': (200000000, 4), }\n", b"")
    yield "a bomb of 0.8 GB of bytes", lambda path: _bomb(path, "x.npy", pixels, 800_000_000)
    pixels = claiming("{'descr': '|u1', 'fortran_order': False, 'shape': (60000000, 4), }\n", b"")
    yield "a bomb of 0.24 GB of bytes", lambda path: _bomb(path, "x.npy", pixels, 240_000_000)
    yield "a bomb of a header", lambda path: _bomb(path, "x.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff", 10**9)
    yield "a bomb beside", lambda path: _bomb(path, "other.npy", npy(_X), 10**9, {"x.npy": npy(_X)})
    yield "100,000 arrays", content(zipped({**{f"a{i}.npy": b"" for i in range(100_000)}, "x.npy": npy(_X)}))
    yield "arrays of one name", lambda path: _twice(path)
    yield "an archive of no arrays", content(zipped({}))
    yield "an archive of another name", content(zipped({"a" * 50_000 + ".npy": npy(_X)}))
    yield "an archive that is encrypted", content(_encrypted(zipped({"x.npy": npy(_X)})))
    yield "a single array", content(npy(_X))
    yield "a device", lambda path: path.symlink_to("/dev/zero")
    yield "a sparse file", lambda path: _sparse(path, 10**12)


def _twice(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(_X))
        archive.writestr("x", npy(_X.astype(numpy.float64)))


def _encrypted(data: bytes) -> bytes:
    place = data.index(b"PK\x01\x02")
    return data[:6] + b"\x01" + data[7 : place + 8] + b"\x01" + data[place + 9 :]


def _sparse(path: Path, size: int) -> None:
    with open(path, "wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(size)


def _bomb(path: Path, name: str, start: bytes, zeros: int, others: Mapping[str, bytes] = MappingProxyType({})) -> None:
    """An archive whose array is all zeros, compressed to about a thousandth."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for other, data in others.items():
            archive.writestr(other, data)
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(info, "w", force_zip64=True) as file:
            file.write(start)
            block = bytes(10**7)
            for _ in range(zeros // len(block)):
                file.write(block)


def idx(code: int, shape: tuple[int, ...], data: bytes) -> bytes:
    """An IDX file."""
    return struct.pack(">HBB", 0, code, len(shape)) + struct.pack(f">{len(shape)}I", *shape) + data


@functools.cache
def _zeros(size: int) -> bytes:
    """A gzip stream of zeros."""
    packer = zlib.compressobj(1, wbits=31)
    block = bytes(10**7)
    return b"".join(packer.compress(block) for _ in range(size // len(block))) + packer.flush()


def _gzipped(start: bytes, zeros: int) -> bytes:
    """A gzip file of `start` and then zeros: concatenated gzip streams count as one."""
    return gzip.compress(start) + _zeros(zeros)


def _idx() -> Named:
    images = idx(8, (3, 2, 2), bytes(range(12)))
    for name, data in {
        "terabytes": idx(8, (2**31, 2**10, 2), bytes(10)),
        "all sizes at their largest": idx(8, (2**32 - 1,) * 3, bytes(10)),
        "255 axes": idx(8, (1,) * 255, b"a"),
        "255 large axes": idx(8, (2**32 - 1,) * 255, b"a"),
        "no axis": idx(8, (), b"a"),
        "nothing": idx(8, (0, 0, 0), b""),
        "none of a large size": idx(8, (0, 2**32 - 1, 2**32 - 1), b""),
        "floats": idx(0x0D, (3, 2, 2), bytes(48)),
        "floats that are NaN": idx(0x0D, (3, 2, 2), b"\x7f\xc0\0\0" * 12),
        "whole numbers": idx(0x0C, (3, 2, 2), bytes(48)),
        "an unknown type": idx(0x07, (3, 2, 2), bytes(48)),
        "more images than labels": idx(8, (4, 2, 2), bytes(16)),
        "more bytes": images + bytes(10),
        "another shape": idx(8, (3, 4), bytes(12)),
    }.items():
        yield f"a header that claims {name}", content(data)
        yield f"a packed header that claims {name}", content(gzip.compress(data))
    yield "a header only", content(images[:4])
    yield "half a header", content(images[:9])
    yield "nothing at all", content(b"")
    yield "a bomb of 2 GB", lambda path: path.write_bytes(_gzipped(idx(8, (5 * 10**8, 2, 2), b""), 2 * 10**9))
    yield "a bomb of 0.9 GB", lambda path: path.write_bytes(_gzipped(idx(8, (225_000_000, 2, 2), b""), 9 * 10**8))
    yield "a bomb behind an honest file", lambda path: path.write_bytes(_gzipped(images, 2 * 10**9))
    yield "a gzip in a gzip", content(gzip.compress(gzip.compress(images)))
    yield "a gzip that is cut", content(gzip.compress(images)[:-6])
    yield "a gzip of another sum", content(gzip.compress(images)[:-8] + bytes(8))
    yield "a gzip with a long name", content(b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * 10**6)
    yield "a device", lambda path: path.symlink_to("/dev/zero")


def _cifar() -> Named:
    record = bytes([3]) + bytes(3072)
    yield "half a record", content(record[:1000])
    yield "a record and a half", content(record + record[:1000])
    yield "a label of 255", content(b"\xff" + record[1:])
    yield "nothing", content(b"")
    yield "a sparse file of a terabyte", lambda path: _sparse_of(path, 3073 * 300_000_000)
    yield "a sparse file of 0.9 GiB", lambda path: _sparse_of(path, 3073 * 300_000)
    yield "a pickle", content(b"\x80\x02}q\x00.")
    yield "a device", lambda path: path.symlink_to("/dev/zero")


def _sparse_of(path: Path, size: int) -> None:
    with open(path, "wb") as file:
        file.truncate(size)


@functools.cache
def matlab(compressed: bool) -> bytes:
    """Two honest images and their labels."""
    flags = struct.pack("<IIII", 6, 8, 9, 0)
    images = (32, 32, 3, 2)
    parts = []
    for name, shape, data in ((b"X", images, bytes(32 * 32 * 3 * 2)), (b"y", (2, 1), bytes([10, 3]))):
        sizes = struct.pack("<II", 5, 4 * len(shape)) + struct.pack(f"<{len(shape)}i", *shape)
        called = struct.pack("<HH", 1, 1) + name.ljust(4, b"\0")
        numbers = struct.pack("<II", 2, len(data)) + data + bytes(-len(data) % 8)
        body = flags + sizes + bytes(-len(sizes) % 8) + called + numbers
        element = struct.pack("<II", 14, len(body)) + body
        packed = zlib.compress(element)
        parts.append(struct.pack("<II", 15, len(packed)) + packed if compressed else element)
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(parts)


def _svhn() -> Named:
    plain, packed = matlab(False), matlab(True)
    for place in range(128, 128 + 64, 4):
        for value in (0, 1, 2**31 - 1, 2**32 - 1):
            changed = plain[:place] + struct.pack("<I", value) + plain[place + 4 :]
            yield f"{value} at {place}", content(changed)
    for length in (0, 100, 127, 128, 130, 136, 150, 190, len(plain) - 9):
        yield f"{length} bytes of it", content(plain[:length])
        yield f"{length} bytes of it, packed", content(packed[: min(length, len(packed) - 9)])
    zeros = b"".join([zlib.compress(struct.pack("<II", 14, 2**31) + bytes(10**7), 9)])
    start = plain[:128]
    yield "a packed element of 2 GiB", content(start + struct.pack("<II", 15, len(zeros)) + zeros)
    nested = zlib.compress(zlib.compress(bytes(100)))
    yield "a packed element in another", content(start + struct.pack("<II", 15, len(nested)) + nested)
    yield "a million elements", content(start + struct.pack("<II", 14, 0) * 10**6)
    yield "a million small elements", content(start + struct.pack("<HHI", 14, 4, 0) * 10**6)
    yield "version 7.3", content(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(100))
    yield "no MATLAB file", content(b"<html>" * 100)


def _har() -> Named:
    line = b" ".join([b"1.0"] * 561) + b"\n"
    yield "a line too long", content(line * 2 + b"1 " * 10**7)
    yield "one line of 100 MB", lambda path: path.write_bytes(b"1 " * 5 * 10**7)
    yield "a hundred million lines", lambda path: path.write_bytes(b"\n" * 10**8)
    yield "300 MB", lambda path: path.write_bytes(b"1\n" * 15 * 10**7)
    yield "another number of columns", content(line + line[:400])
    yield "a number of many digits", content(line.replace(b"1.0", b"1" * 10_000, 1) * 3)
    yield "a number too large", content(line.replace(b"1.0", b"1e999", 1) * 3)
    yield "no number", content(line.replace(b"1.0", b"nan", 1) * 3)
    yield "hexadecimal numbers", content(line.replace(b"1.0", b"0x1p5", 1) * 3)
    yield "zeros", content(bytes(10**6))
    yield "no text", content(b"\xff\xfe" * 10**5)
    yield "nothing", content(b"")
    yield "a comment", content(b"#" * 10**6)
    yield "a sparse file", lambda path: _sparse_of(path, 10**12)


def _data(name: str, part: str) -> Any:
    def commands(path: Path, around: Surroundings) -> list[list[str]]:
        folder = path if path.is_dir() else path.parent
        if part == "har:test":
            folder = folder.parent
        named = ["--data", part, "--data-dir", str(folder), "--limit", "1"]
        model = str(around.model)
        return [
            ["certify", model, "--eps", "0.01", *named],
            ["radius", model, *named],
            ["detect", model, "--eps", "0.01", *named],
            ["attack", model, "--eps", "0.01", "--attack", "1", *named],
            ["train", "--data", part, "--data-dir", str(folder), "--arch", "mlp:3", "--loss", "clean", "--epochs", "1",
             "--output", str(path.parent / "run"), "--quiet"],
        ]  # fmt: skip

    return commands


def _npz_commands(path: Path, around: Surroundings) -> list[list[str]]:
    model, data = str(around.model), ["--data", str(path), "--limit", "1"]
    return [
        ["certify", model, "--eps", "0.01", *data],
        ["radius", model, *data],
        ["detect", model, "--eps", "0.01", *data],
        ["attack", model, "--eps", "0.01", "--attack", "1", *data],
        ["train", "--data", str(path), "--arch", "mlp:3", "--loss", "clean", "--epochs", "1", "--output",
         str(path.parent / "run"), "--quiet"],
    ]  # fmt: skip


def _npy() -> Named:
    for name, data in _headers():
        yield name, content(data)
    yield "a device", lambda path: path.symlink_to("/dev/zero")
    yield "a sparse file", lambda path: _sparse(path, 10**12)
    yield "an honest array", content(npy(_X[0]))


def _npy_commands(path: Path, around: Surroundings) -> list[list[str]]:
    data = ["--data", str(around.data), "--limit", "1"]
    return [
        ["certify", str(around.model), "--box", f"{path},{path}", *data],
        ["attack", str(around.model), "--box", f"{path},{path}", "--attack", "1", *data],
        ["certify", str(around.model), "--eps", "0.01", "--spec", f"box:{path},{path}", *data],
        ["certify", str(around.model), "--eps", "0.01", "--spec", f"deviation:{path}", *data],
    ]


def _valid_npz() -> Iterator[bytes]:
    yield zipped({"x.npy": npy(_X), "y.npy": npy(_Y)})
    yield zipped({"x.npy": npy(_X), "y.npy": npy(_Y)}, zipfile.ZIP_DEFLATED)


NPZ = Format("npz", "data.npz", _npz, _valid_npz, _npz_commands)
NPY = Format("npy", "ends.npy", _npy, lambda: iter([npy(_X[0])]), _npy_commands)
_LABELS = {"t10k-labels-idx1-ubyte": idx(8, (3,), bytes([0, 1, 2])), "train-labels-idx1-ubyte": idx(8, (3,), bytes(3))}
_IMAGES = idx(8, (3, 2, 2), bytes(range(12)))
IDX = Format(
    "IDX", "t10k-images-idx3-ubyte", _idx, lambda: iter([_IMAGES, gzip.compress(_IMAGES)]), _data("idx", "mnist:test"),
    lambda: _LABELS,
)  # fmt: skip
CIFAR = Format(
    "CIFAR-10", "test_batch.bin", _cifar, lambda: iter([(bytes([3]) + bytes(3072)) * 2]), _data("cifar", "cifar10:test")
)
SVHN = Format("SVHN", "test_32x32.mat", _svhn, lambda: iter([matlab(False), matlab(True)]), _data("svhn", "svhn:test"))
_LINES = (b" ".join([b"0.5"] * 561) + b"\n") * 3
HAR = Format(
    "UCI HAR", "test/X_test.txt", _har, lambda: iter([_LINES]), _data("har", "har:test"),
    lambda: {"test/y_test.txt": b"1\n2\n3\n"},
)  # fmt: skip
