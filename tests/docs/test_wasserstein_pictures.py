"""The pictures of Wasserstein balls: they can be drawn, and the plan and the bounds that they show are right."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from click.testing import CliRunner

import autodual
from autodual.perturbations.wasserstein.moves import Moves

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    """`docs/draw_wasserstein.py`, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("draw_wasserstein", DOCS / "draw_wasserstein.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_all_pictures_are_drawn_and_those_of_the_page_are_kept(drawing: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = CliRunner().invoke(drawing.main, ["--output-dir", str(tmp_path), "--steps", "2"])
    assert found.exit_code == 0, found.output
    drawn = {path.name for path in tmp_path.iterdir()}
    page = (DOCS / "wasserstein.md").read_text(encoding="utf-8")
    assert len(drawn) == 3 and all(f"(images/{name})" in page and (DOCS / "images" / name).exists() for name in drawn)


@pytest.mark.parametrize("seed", range(3))
def test_the_price_and_the_plan_that_are_drawn_are_the_best(drawing: ModuleType, seed: int) -> None:
    """The least F is the support function of the region, and the plan keeps within the budget."""
    generator = torch.Generator().manual_seed(seed)
    x, row = (torch.rand(6, 7, generator=generator, dtype=torch.float64) for _ in range(2))
    region = autodual.WassersteinBall(0.1).at(x[None, None])
    worst = drawing.Worst(row, x, float(region.budget), Moves(5))
    value, slope, _ = worst.at(worst.best_price())
    steepest = region.steepest(row[None, None])
    assert slope >= 0  # the budget minus what the plan costs
    assert value == pytest.approx(float((steepest[0, 0] * row).sum()), rel=1e-9)
