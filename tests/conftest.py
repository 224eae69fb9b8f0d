"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from support.effort import SETTINGS

from autodual.properties import Property, load_property

torch.set_num_threads(1)

settings.register_profile("autodual", SETTINGS)
settings.load_profile("autodual")


@pytest.fixture(scope="session")
def shared_directory() -> Path:
    """The folder of published reference networks and bounds; tests that need it are skipped where there is none."""
    default = Path(__file__).resolve().parents[2] / "shared"
    directory = Path(os.environ.get("AUTODUAL_SHARED", default))
    if not (directory / "reference").is_dir():
        pytest.skip("no reference data beside the repository (set AUTODUAL_SHARED)")
    return directory


@pytest.fixture
def property_of(tmp_path: Path) -> Callable[[str], Property]:
    """From the text of a VNN-LIB file to its property."""

    def read(text: str) -> Property:
        (tmp_path / "p.vnnlib").write_text(text)
        return load_property(tmp_path / "p.vnnlib")

    return read
