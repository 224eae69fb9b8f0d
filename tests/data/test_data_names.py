"""Named data sets: listed without torch, each with a reader, and read from a folder that must exist."""

from __future__ import annotations

import subprocess
import sys

import pytest

import autodual.data
from autodual.data import DATA_SETS, load_dataset
from autodual.data.dataset import _READERS
from autodual.data.named_data_sets import FAMILIES
from autodual.errors import DataError


def test_the_names_are_listed_without_torch_or_numpy():
    script = (
        "import sys\nfrom autodual.data import DATA_SETS\nprint(len(DATA_SETS), {'torch', 'numpy'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.stdout == f"{len(DATA_SETS)} set()\n", run.stderr
    assert all(hasattr(autodual.data, name) for name in autodual.data.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        autodual.data.nonsense  # noqa: B018


def test_each_format_has_a_reader():
    assert {family.format for family in FAMILIES.values()} == set(_READERS)


@pytest.mark.parametrize("name", DATA_SETS)
def test_the_folder_must_be_given_and_exist_and_hold_the_files(tmp_path, name):
    with pytest.raises(DataError, match=f"{name} is read from a folder that holds .*; give it with directory="):
        load_dataset(name)
    (tmp_path / "file").touch()
    for folder in ("absent", "file"):
        with pytest.raises(DataError, match=r"There is no folder '.*'; give one that holds "):
            load_dataset(name, tmp_path / folder)
    with pytest.raises(DataError, match="There is no '"):
        load_dataset(name, tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "mnist:valid", "nonsense:test"])
def test_other_names_are_answered_with_the_list(tmp_path, name):
    with pytest.raises(DataError, match=r"give a \.npz file, sample, or one of mnist:train, .*, har:test"):
        load_dataset(name, tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "test_batch.bin").touch()

    def refuse(_path, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("autodual.data.hashed_files.read_file", refuse)
    with pytest.raises(DataError, match=r"'.*test_batch.bin' cannot be read: Permission denied"):
        load_dataset("cifar10:test", tmp_path)
