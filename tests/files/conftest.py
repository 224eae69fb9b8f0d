"""Where the public reference networks are, for the tests that can use them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def reference_folder() -> Path:
    """The folder of reference networks: $AUTODUAL_REFERENCE, or shared/reference beside the repository."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "reference"
    folder = Path(os.environ.get("AUTODUAL_REFERENCE", beside))
    if not folder.is_dir():
        pytest.skip("the reference networks are not here; set AUTODUAL_REFERENCE to their folder")
    return folder
