"""UCI HAR: text is read as float32, unscaled; activities are counted from 0."""

from __future__ import annotations

import hashlib

import numpy
import pytest
import torch

from autodual.data import load_dataset
from autodual.errors import DataError

FEATURES = ((numpy.arange(2 * 561).reshape(2, 561) - 300) / 7).astype(numpy.float32)


def lines(features: numpy.ndarray) -> str:
    return "".join("  " + " ".join(f"{value:.8e}" for value in row) + "\n" for row in features)


def write(folder, part="test", features=None, labels="6\n1\n"):
    """Writes a part; returns the content of both files."""
    (folder / part).mkdir(parents=True, exist_ok=True)
    contents = [lines(FEATURES) if features is None else features, labels]
    for kind, content in zip("Xy", contents):
        (folder / part / f"{kind}_{part}.txt").write_text(content)
    return "".join(contents).encode()


@pytest.mark.parametrize("subfolder", ["", "UCI HAR Dataset"])
@pytest.mark.parametrize("part", ["train", "test"])
def test_features_and_labels_are_read(tmp_path, subfolder, part):
    content = write(tmp_path / subfolder, part)
    dataset = load_dataset(f"har:{part}", tmp_path)
    assert torch.equal(dataset.x, torch.from_numpy(FEATURES)) and dataset.x.dtype == torch.float32
    assert dataset.y is not None and dataset.y.tolist() == [5, 0] and dataset.y.dtype == torch.int64
    assert dataset.description == f"UCI HAR {part} samples (as stored)"
    assert dataset.sha256 == hashlib.sha256(content).hexdigest()
    assert [file.path.name for file in dataset.files] == [f"X_{part}.txt", f"y_{part}.txt"]


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"no 'test/X_test.txt' in '.*' or its folder 'UCI HAR Dataset'; unpack the"):
        load_dataset("har:test", tmp_path)
    write(tmp_path / "UCI HAR Dataset")
    (tmp_path / "UCI HAR Dataset/test/y_test.txt").unlink()
    with pytest.raises(DataError, match=r"no 'test/y_test.txt' in '.*UCI HAR Dataset'; unpack the archive of UCI HAR"):
        load_dataset("har:test", tmp_path)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("features", "message"),
    [
        (" \n", "is empty; unpack"),
        (lines(FEATURES)[:-30], "not all of its lines are 561 numbers"),
        (lines(FEATURES[:, :560]), "hold 560 numbers; expected 561"),
        (lines(FEATURES).replace(" ", ",", 1), "not all of its lines are 561 numbers"),
        (lines(FEATURES) + "é\n", "not all of its lines are 561 numbers"),
        (lines(FEATURES[:1]) + "1 " * 560 + "nan\n", "Sample 1 of 'har:test' holds NaN or infinity"),
        ("1 " * 560 + "1e99\n" + lines(FEATURES[:1]), "Sample 0 of 'har:test' holds NaN or infinity"),
        (lines(FEATURES[:1]), r"holds 1 samples but labels of shape \(2,\)"),
    ],
)
def test_malformed_features_are_refused(tmp_path, features, message):
    write(tmp_path, features=features)
    with pytest.raises(DataError, match=message):
        load_dataset("har:test", tmp_path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("6\n0\n", r"label of sample 1 in '.*y_test.txt' is 0; expected 1 to 6"),
        ("7\n1\n", "label of sample 0 .* is 7; expected"),
        ("6\n-1\n", "label of sample 1 .* is -1; expected"),
        ("6\n1.5\n", "label of sample 1 .* is 1.5; expected"),
        ("6\nnan\n", "label of sample 1 .* is nan; expected"),
        ("", r"2 samples but labels of shape \(0,\)"),
        ("1\n2\n3\n", r"2 samples but labels of shape \(3,\)"),
    ],
)
def test_malformed_labels_are_refused(tmp_path, labels, message):
    write(tmp_path, labels=labels)
    with pytest.raises(DataError, match=message):
        load_dataset("har:test", tmp_path)
