"""IDX files: the array that the header announces is read, anything else is refused."""

from __future__ import annotations

import gzip
import hashlib
import struct

import numpy
import pytest
import torch

from autodual.data import load_dataset, read_idx
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


def test_numbers_are_returned_in_the_machines_byte_order(tmp_path):
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
        content + b"\0": "it holds more",
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


def write_part(folder, images, labels, prefix="t10k"):
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(numpy.asarray(images, dtype=numpy.uint8)))
    (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(numpy.asarray(labels, numpy.uint8))))


@pytest.mark.parametrize(("name", "title"), [("mnist", "MNIST"), ("fashion-mnist", "Fashion-MNIST")])
@pytest.mark.parametrize(("part", "prefix"), [("train", "train"), ("test", "t10k")])
def test_the_mnist_family_is_read_from_its_idx_files(tmp_path, name, title, part, prefix):
    write_part(tmp_path, [[[0, 255]], [[51, 0]]], [3, 4], prefix)
    dataset = load_dataset(f"{name}:{part}", tmp_path)
    assert torch.equal(dataset.x, torch.tensor([[[[0.0, 1.0]]], [[[0.2, 0.0]]]])) and dataset.x.dtype == torch.float32
    assert dataset.y is not None and dataset.y.tolist() == [3, 4] and dataset.y.dtype == torch.int64
    assert dataset.description == f"{title} {part} images (bytes divided by 255)"
    names = [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte.gz"]
    assert [file.path.name for file in dataset.files] == names
    contents = [(tmp_path / file).read_bytes() for file in names]
    assert dataset.sha256 == hashlib.sha256(b"".join(contents)).hexdigest()
    assert [file.sha256 for file in dataset.files] == [hashlib.sha256(content).hexdigest() for content in contents]


def test_malformed_files_of_the_mnist_family_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"no 't10k-images-idx3-ubyte' or 't10k-images-idx3-ubyte.gz'"):
        load_dataset("mnist:test", tmp_path)
    cases = {
        r"has shape \(2,\); expected images \[N, height, width\]": ([1, 2], [3, 4]),
        r"has shape \(2, 1\); expected labels \[N\]": (numpy.zeros((2, 1, 1)), [[3], [4]]),
        r"2 samples but labels of shape \(1,\)": (numpy.zeros((2, 1, 1)), [3]),
        r"label of sample 1 in '.*labels.*' is 10; expected 0 to 9": (numpy.zeros((2, 1, 1)), [3, 10]),
        "expected one or more samples": (numpy.zeros((0, 1, 1)), []),
    }
    for message, (images, labels) in cases.items():
        write_part(tmp_path, images, labels)
        with pytest.raises(DataError, match=message):
            load_dataset("mnist:test", tmp_path)


def test_mnist_and_fashion_mnist_are_not_mistaken_for_one_another(tmp_path):
    labels = [7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0]
    write_part(tmp_path, numpy.zeros((11, 1, 1)), labels)
    assert load_dataset("mnist:test", tmp_path).y.tolist() == labels
    with pytest.raises(DataError, match="holds MNIST; name it mnist:test"):
        load_dataset("fashion-mnist:test", tmp_path)
    write_part(tmp_path, numpy.zeros((11, 1, 1)), [9, 2, 1, 1, 6, 1, 4, 6, 5, 7, 4])
    with pytest.raises(DataError, match="holds Fashion-MNIST; name it fashion-mnist:test"):
        load_dataset("mnist:test", tmp_path)
