"""The documentation site builds without a warning, its scripts run, and it documents every public name."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import autodual
from autodual import (
    adapters,
    attacks,
    data,
    errors,
    evaluation,
    extend,
    ir,
    passes,
    perturbations,
    properties,
    specs,
    testing,
)

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", str(DOCS), str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_public_name_is_documented(site: Path) -> None:
    from sphinx.util.inventory import InventoryFile

    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    placed = {
        name.rpartition(".")[2]
        for kind, entries in inventory.data.items()
        if kind.startswith("py:")
        for name in entries
    }
    rooms = (
        *(autodual, adapters, attacks, data, errors, evaluation, extend, ir, passes),
        *(perturbations, properties, specs, testing),
    )
    documented = {
        name
        for room in rooms
        for name in getattr(room, "__all__", ())
        if inspect.isclass(getattr(room, name)) or inspect.isfunction(getattr(room, name))
    }
    assert documented - placed == set()


def test_gallery_scripts_run_and_draw(site: Path) -> None:
    scripts = sorted(path.stem for path in (DOCS.parent / "examples" / "gallery").glob("plot_*.py"))
    assert len(scripts) >= 4
    for script in scripts:
        page = (site / "gallery" / f"{script}.html").read_text(encoding="utf-8")
        assert f"_images/sphx_glr_{script}_001.png" in page
