"""SVHN's MATLAB files: axes and labels are converted, and a damaged file is one error."""

from __future__ import annotations

import hashlib

import numpy
import pytest
import torch

from autodual.data import load_dataset
from autodual.errors import DataError

scipy_io = pytest.importorskip("scipy.io")
IMAGES = (numpy.arange(2 * 3 * 32 * 32).reshape(2, 3, 32, 32) * 7 % 256).astype(numpy.uint8)
STORED = IMAGES.transpose(2, 3, 1, 0)
LABELS = numpy.array([[10], [3]], dtype=numpy.uint8)


def write(folder, part="test", compressed=True, **arrays):
    path = folder / f"{part}_32x32.mat"
    scipy_io.savemat(path, arrays, do_compression=compressed)
    return path


@pytest.mark.parametrize("part", ["train", "test"])
def test_images_and_digits_are_read(tmp_path, part):
    path = write(tmp_path, part, X=STORED, y=LABELS)
    dataset = load_dataset(f"svhn:{part}", tmp_path)
    assert torch.equal(dataset.x, torch.from_numpy(IMAGES).to(torch.float32) / 255)
    assert dataset.y is not None and dataset.y.tolist() == [0, 3] and dataset.y.dtype == torch.int64
    assert dataset.description == f"SVHN {part} images (bytes divided by 255)"
    assert dataset.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [file.path for file in dataset.files] == [path]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": STORED}, "does not hold the arrays 'X' and 'y'"),
        ({"y": LABELS}, "does not hold the arrays 'X' and 'y'"),
        ({"X": STORED[:31], "y": LABELS}, r"has shape \(31, 32, 3, 2\) and type uint8; expected \[32, 32, 3, N\]"),
        ({"X": STORED[..., 0], "y": LABELS}, r"has shape \(32, 32, 3\)"),
        ({"X": STORED / 255, "y": LABELS}, "type float64; expected .* and uint8"),
        ({"X": STORED, "y": LABELS[:1]}, r"'y' in .* has shape \(1, 1\) .* expected \[2, 1\]"),
        ({"X": STORED, "y": LABELS / 2}, "'y' in .* type float64; expected .* and integers"),
        ({"X": STORED, "y": LABELS + 1}, r"label of sample 0 in '.*' is 11; expected 1 to 10"),
        ({"X": STORED, "y": LABELS - 3}, r"label of sample 1 in '.*' is 0; expected 1 to 10"),
        ({"X": STORED[..., :0], "y": LABELS[:0]}, "expected one or more samples"),
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, message):
    write(tmp_path, **arrays)
    with pytest.raises(DataError, match=message):
        load_dataset("svhn:test", tmp_path)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("compressed", [True, False])
def test_damage_is_one_error(tmp_path, compressed):
    path = write(tmp_path, compressed=compressed, X=STORED, y=LABELS)
    content = path.read_bytes()
    for length in (0, 1, 100, 127, 130, 150, 200, len(content) // 2, len(content) - 20, len(content) - 9):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"truncated, damaged or no MATLAB file|does not hold the arrays"):
            load_dataset("svhn:test", tmp_path)


def test_files_of_other_kinds_say_so(tmp_path):
    path = tmp_path / "test_32x32.mat"
    with pytest.raises(DataError, match=r"no 'test_32x32.mat' in '.*'; fetch it from"):
        load_dataset("svhn:test", tmp_path)
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(100))
    with pytest.raises(DataError, match=r"is a MATLAB file of version 7.3; fetch SVHN's own"):
        load_dataset("svhn:test", tmp_path)
    path.write_text("<html>Not found</html>" * 20)
    with pytest.raises(DataError, match="is a web page"):
        load_dataset("svhn:test", tmp_path)
