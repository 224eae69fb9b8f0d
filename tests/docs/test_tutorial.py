"""The tutorial runs as printed, and its dual network has about the length that it states."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.python_blocks import python_blocks, run_blocks

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


@pytest.fixture(autouse=True)
def restored_dtype():
    """The tutorial makes float64 torch's default dtype, which is undone here."""
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)


def test_the_tutorial_runs() -> None:
    """Its own assertions are the test; the comparison with the compiled network must not be vacuous."""
    namespace = run_blocks(TUTORIAL)
    assert (namespace["lower"] < namespace["upper"]).all()
    assert namespace["compiled"].shape == (5, 3)


def test_the_dual_network_takes_about_sixty_lines() -> None:
    """Without the lines that check it."""
    source = "\n".join(block.lstrip("\n") for block in python_blocks(TUTORIAL)[:5])
    code = [line for line in source.splitlines() if line.strip() and not line.startswith(("points", "assert"))]
    assert 40 <= len(code) <= 70
