"""Data sets by name on the command line: every file is recorded, never overwritten, and checked by a replay."""

from __future__ import annotations

import hashlib
import json

import numpy
import pytest
import torch
from torch import nn

from autodual.data import DATA_SETS


@pytest.fixture
def folder(tmp_path):
    """A CIFAR-10 test set of three samples."""
    (tmp_path / "data").mkdir()
    records = numpy.random.default_rng(0).integers(0, 256, (3, 3073), dtype=numpy.uint8)
    records[:, 0] = [0, 1, 2]
    (tmp_path / "data" / "test_batch.bin").write_bytes(records.tobytes())
    return tmp_path / "data"


@pytest.fixture
def har_folder(tmp_path):
    """A UCI HAR training set of two samples, in the folder layout of its archive."""
    part = tmp_path / "data" / "UCI HAR Dataset" / "train"
    part.mkdir(parents=True)
    (part / "X_train.txt").write_text(("0.5 " * 561 + "\n") * 2)
    (part / "y_train.txt").write_text("1\n2\n")
    return tmp_path / "data"


@pytest.fixture
def har_model(tmp_path):
    torch.manual_seed(0)
    torch.save(nn.Sequential(nn.Linear(561, 6)), tmp_path / "har.pt")
    return tmp_path / "har.pt"


def test_a_run_on_a_named_set_is_replayed_wherever_its_folder_is(invoke, tmp_path, folder):
    torch.manual_seed(0)
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), tmp_path / "model.pt")
    out = tmp_path / "out.json"
    arguments = ["--data", "cifar10:test", "--data-dir", folder, "--eps", "1/255", "--json", out]
    result = invoke("certify", tmp_path / "model.pt", *arguments)
    assert result.exit_code == 0 and "cifar10:test: CIFAR-10 test images (bytes divided by 255)" in result.stdout
    assert invoke("replay", out).exit_code == 0
    folder.rename(tmp_path / "moved")
    gone = invoke("replay", out)
    assert gone.exit_code == 2 and "There is no folder" in gone.stderr
    assert invoke("replay", out, "--data-dir", tmp_path / "moved").exit_code == 0
    content = (tmp_path / "moved" / "test_batch.bin").read_bytes()
    (tmp_path / "moved" / "test_batch.bin").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    changed = invoke("replay", out, "--data-dir", tmp_path / "moved")
    assert changed.exit_code == 2 and "The data is not the one of the recorded run" in changed.stderr


def test_each_file_is_in_the_provenance(invoke, tmp_path, har_folder, har_model):
    out = tmp_path / "out.json"
    arguments = ["--data", "har:train", "--data-dir", har_folder, "--eps", "0.01", "--json", out]
    assert invoke("certify", har_model, *arguments).exit_code == 0
    settings = json.loads(out.read_text())["settings"]
    files = [file for file in settings["provenance"]["files"] if file["role"] == "data"]
    paths = [har_folder / "UCI HAR Dataset" / "train" / name for name in ("X_train.txt", "y_train.txt")]
    assert [file["path"] for file in files] == [str(path) for path in paths]
    assert [file["sha256"] for file in files] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert settings["data_sha256"] == hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
    assert invoke("replay", out).exit_code == 0


def test_files_of_a_data_set_are_never_overwritten(invoke, har_folder, har_model):
    target = har_folder / "UCI HAR Dataset" / "train" / "y_train.txt"
    arguments = ["--data", "har:train", "--data-dir", har_folder, "--eps", "0.01", "--json", target]
    result = invoke("certify", har_model, *arguments)
    assert result.exit_code == 2 and "is already an input or another output" in result.stderr
    assert target.read_text() == "1\n2\n"


def test_bad_folders_are_one_line(invoke, tmp_path, model_file):
    for arguments, message in (
        ([], "give it with --data-dir"),
        (["--data-dir", tmp_path / "absent"], "There is no folder"),
        (["--data-dir", tmp_path], "There is no 'test_batch.bin'"),
    ):
        result = invoke("certify", model_file, "--eps", "0.1", "--data", "cifar10:test", *arguments)
        assert result.exit_code == 2 and message in result.stderr and "Traceback" not in result.output


def test_the_help_lists_every_name(invoke):
    words = invoke("certify", "--help").stdout.replace(",", " ").replace("(", " ").replace(")", " ").split()
    assert set(DATA_SETS) <= set(words)
