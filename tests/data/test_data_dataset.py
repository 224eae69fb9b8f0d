"""Data sets: the description states the scaling, and malformed samples and labels are refused by index."""

from __future__ import annotations

import hashlib

import numpy
import pytest
import torch

from autodual.data import load_dataset
from autodual.errors import DataError


def npz(tmp_path, name="data.npz", **arrays):
    path = tmp_path / name
    numpy.savez(path, **arrays)
    return path


def test_bytes_are_scaled_and_floats_are_not(tmp_path):
    pixels = numpy.array([[0, 51, 255]], dtype=numpy.uint8)
    dataset = load_dataset(npz(tmp_path, images=pixels, labels=numpy.array([2])))
    assert torch.equal(dataset.x, torch.tensor([[0.0, 0.2, 1.0]]))
    assert dataset.description == "bytes divided by 255"
    assert dataset.y is not None and dataset.y.tolist() == [2] and dataset.y.dtype == torch.int64
    values = numpy.array([[0.5, -3.0]])
    dataset = load_dataset(npz(tmp_path, x=values))
    assert dataset.x.dtype == torch.float64 and dataset.x.tolist() == [[0.5, -3.0]]
    assert dataset.y is None
    assert dataset.description == "as stored"
    half = load_dataset(npz(tmp_path, x=values.astype(numpy.float16)))
    assert half.x.dtype == torch.float32 and half.x.tolist() == [[0.5, -3.0]]


def test_labels_are_found_under_either_name_and_never_guessed(tmp_path):
    x, labels = numpy.zeros((2, 3)), numpy.array([1, 0])
    for arrays in ({"x": x, "labels": labels}, {"images": x, "y": labels}):
        dataset = load_dataset(npz(tmp_path, **arrays))
        assert dataset.y is not None and dataset.y.tolist() == [1, 0]
    for arrays in ({"x": x, "images": x}, {"x": x, "y": labels, "labels": labels}):
        with pytest.raises(DataError, match="expected one of 'x', 'images' and one of 'y', 'labels'"):
            load_dataset(npz(tmp_path, **arrays))


def test_the_digest_names_the_file(tmp_path):
    path = npz(tmp_path, x=numpy.zeros((1, 2)))
    dataset = load_dataset(path)
    assert dataset.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [(file.path, file.sha256) for file in dataset.files] == [(path, dataset.sha256)]


def test_the_sample_ships_with_the_package():
    dataset = load_dataset("sample")
    assert dataset.x.shape == (1000, 1, 28, 28)
    assert dataset.y is not None and dataset.y[:5].tolist() == [7, 2, 1, 0, 4]
    assert (dataset.x.min(), dataset.x.max()) == (0, 1)
    assert "first 1,000 MNIST test images" in dataset.description
    part = dataset.slice(998, 2000)
    assert len(part) == 2 and part.shape == (1, 28, 28)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": numpy.zeros((1, 2))}, r"holds the arrays \['a'\]"),
        ({"x": numpy.zeros(())}, "expected one or more samples"),
        ({"x": numpy.zeros((0, 3))}, "expected one or more samples"),
        ({"x": numpy.zeros((1, 3), dtype=numpy.int64)}, "of type int64; expected floating point"),
        ({"x": numpy.array([[0.0], [numpy.nan]])}, "Sample 1 of .* holds NaN"),
        ({"x": numpy.array([[numpy.inf]])}, "Sample 0 of .* holds NaN or infinity"),
        ({"x": numpy.zeros((1, 2), dtype=numpy.complex64)}, "of type complex64"),
        ({"x": numpy.zeros((2, 1)), "y": numpy.zeros(3, int)}, r"2 samples but labels of shape \(3,\)"),
        ({"x": numpy.zeros((1, 1)), "y": numpy.zeros(1)}, "labels .* of type float64"),
        ({"x": numpy.zeros((2, 1)), "y": numpy.array([0, -1])}, "label of sample 1 .* is -1"),
        ({"x": numpy.array([[{}]])}, "pickled objects"),
    ],
)
def test_malformed_arrays_are_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        load_dataset(npz(tmp_path, **arrays))


def test_labels_beyond_the_classes_are_named(tmp_path):
    dataset = load_dataset(npz(tmp_path, x=numpy.zeros((3, 1)), y=numpy.array([0, 9, 10])))
    dataset.check_labels(11)
    with pytest.raises(DataError, match=r"label of sample 2 .* is 10, but the network has the classes 0 to 9"):
        dataset.check_labels(10)


def test_files_that_are_no_data_sets(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "half.npz").write_bytes(npz(tmp_path, x=numpy.zeros((50, 3))).read_bytes()[:300])
    (tmp_path / "folder.npz").mkdir()
    cases = {
        "text.npz": "is damaged",
        "half.npz": "is damaged",
        "absent.npz": "There is no data file",
        "folder.npz": "cannot be read",
        "data.csv": "is no data set",
    }
    for name, message in cases.items():
        with pytest.raises(DataError, match=message):
            load_dataset(tmp_path / name)
