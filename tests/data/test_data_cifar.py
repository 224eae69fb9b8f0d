"""CIFAR-10's binary version is read byte by byte as specified; its pickled version is never opened."""

from __future__ import annotations

import hashlib
import pickle

import numpy
import pytest
import torch

from autodual.data import load_dataset
from autodual.errors import DataError

TRAIN = [f"data_batch_{number}.bin" for number in range(1, 6)]


def record(label: int, image: numpy.ndarray) -> bytes:
    return bytes([label]) + image.astype(numpy.uint8).tobytes()


def image(shift: int = 0) -> numpy.ndarray:
    """`[3, 32, 32]`; neighbouring entries differ."""
    return (numpy.arange(3072).reshape(3, 32, 32) * 7 + shift) % 256


@pytest.mark.parametrize("subfolder", ["", "cifar-10-batches-bin"])
def test_the_test_part_is_one_file(tmp_path, subfolder):
    folder = tmp_path / subfolder
    folder.mkdir(exist_ok=True)
    content = record(9, image()) + record(0, image(1))
    (folder / "test_batch.bin").write_bytes(content)
    dataset = load_dataset("cifar10:test", tmp_path)
    expected = torch.from_numpy(numpy.stack([image(), image(1)])).to(torch.float32) / 255
    assert torch.equal(dataset.x, expected) and dataset.x.dtype == torch.float32
    assert dataset.y is not None and dataset.y.tolist() == [9, 0] and dataset.y.dtype == torch.int64
    assert dataset.description == "CIFAR-10 test images (bytes divided by 255)"
    assert dataset.sha256 == hashlib.sha256(content).hexdigest()
    assert [file.path for file in dataset.files] == [folder / "test_batch.bin"]


def test_the_training_part_is_five_files_in_their_order(tmp_path):
    for number, name in enumerate(TRAIN):
        (tmp_path / name).write_bytes(record(number, image(number)))
    dataset = load_dataset("cifar10:train", tmp_path)
    assert dataset.y is not None and dataset.y.tolist() == [0, 1, 2, 3, 4]
    assert (dataset.x[:, 0, 0, 0] * 255).round().tolist() == [0, 1, 2, 3, 4]
    assert dataset.sha256 == hashlib.sha256(b"".join((tmp_path / name).read_bytes() for name in TRAIN)).hexdigest()
    (tmp_path / TRAIN[2]).unlink()
    with pytest.raises(DataError, match=r"no 'data_batch_3.bin' in '.*'; unpack CIFAR-10's binary version"):
        load_dataset("cifar10:train", tmp_path)


@pytest.mark.parametrize("subfolder", ["", "cifar-10-batches-py"])
@pytest.mark.parametrize(("part", "file"), [("train", "data_batch_1"), ("test", "test_batch")])
def test_the_pickled_version_is_refused_and_never_opened(tmp_path, subfolder, part, file):
    (tmp_path / subfolder).mkdir(exist_ok=True)
    (tmp_path / subfolder / file).write_bytes(pickle.dumps({b"labels": [1]}))
    with pytest.raises(DataError, match=r"is pickled and could execute code; unpack CIFAR-10's binary version \("):
        load_dataset(f"cifar10:{part}", tmp_path)
    for name in ("test_batch.bin", *TRAIN):
        (tmp_path / name).write_bytes(record(1, image()))
    assert len(load_dataset(f"cifar10:{part}", tmp_path)) == {"train": 5, "test": 1}[part]


def test_missing_files_are_named_with_both_folders(tmp_path):
    with pytest.raises(DataError, match=r"no 'test_batch.bin' in '.*' or its folder 'cifar-10-batches-bin'; unpack"):
        load_dataset("cifar10:test", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds 0 bytes, which are not one or more records of 3073"),
        (record(1, image())[:-1], "holds 3072 bytes"),
        (record(1, image()) + b"\0", "holds 3074 bytes"),
        (record(1, image()) + record(10, image()), r"label of sample 1 in '.*' is 10; expected 0 to 9"),
    ],
)
def test_damage_is_named(tmp_path, content, message):
    (tmp_path / "test_batch.bin").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_dataset("cifar10:test", tmp_path)
