"""The page of operators is what `docs/build.py` generates from the registry, and its picture can be drawn."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """`docs/build.py`, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_operators_is_up_to_date(build: ModuleType) -> None:
    written = (DOCS / "operators.md").read_text(encoding="utf-8")
    assert build.operators_page() == written, "run `python docs/build.py operators`"


def test_every_relaxation_is_drawn(build: ModuleType, tmp_path: Path) -> None:
    """With its title, its curve and four lines; the picture that is kept shows the same functions."""
    pytest.importorskip("matplotlib")
    output = tmp_path / "relaxations.svg"
    found = CliRunner().invoke(build.main, ["relaxations", "--output", str(output)])
    assert found.exit_code == 0, found.output
    drawn, kept = (path.read_text(encoding="utf-8") for path in (output, DOCS / "images" / "relaxations.svg"))
    for name, _, _ in build._drawn():
        assert f">{name}</text>" in drawn and f">{name}</text>" in kept, name
    assert drawn.count("#d95f02") == drawn.count("#1b6ca8") == 2 * len(list(build._drawn()))
