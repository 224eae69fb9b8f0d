"""The toy example in the plane, with few points and short training: the polygons that it draws are sound."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy
import pytest
import torch
from click.testing import CliRunner
from torch import nn

import autodual

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "toy_2d.py"


@pytest.fixture(scope="module")
def toy() -> ModuleType:
    """The script as a module, with fewer points, steps and directions."""
    spec = importlib.util.spec_from_file_location("toy_2d", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.POINTS, module.SPACING, module.STEPS, module.LEARNING_RATE = 4, 5.0, 60, 1e-2
    module.GRID, module.DIRECTIONS, module.SHARES = 31, 32, (0.5, 1.0)
    return module


@pytest.fixture(scope="module")
def trained(toy):
    """Points, classes and the dual networks by name, as the command makes them with seed 0."""
    torch.manual_seed(0)
    x, y = toy.random_problem()
    return x, y, toy.dual_networks(x, y, (2, 30, 30, 2), toy.STEPS)


def shrunk(polygon: numpy.ndarray) -> numpy.ndarray:
    """The polygon, reduced to a tenth about its centre."""
    middle = (polygon.min(0) + polygon.max(0)) / 2
    return middle + 0.1 * (polygon - middle)


def test_points_keep_a_minimum_distance(toy):
    torch.manual_seed(0)
    points = toy.spaced_points(12, 0.2)
    distances = (points[:, None] - points).abs().amax(2) + torch.eye(12)
    assert distances.min() >= 0.2 and points.min() >= 0 and points.max() <= 1


def test_robust_training_certifies_all_boxes(toy, trained):
    x, y, duals = trained
    certificates = autodual.certify(duals[toy.ROBUST], x, autodual.LinfBall(toy.RADIUS), labels=y)
    assert toy.summary(certificates) == "4 of 4 boxes certified"
    # The networks start with the same weights, and training changes them.
    first_weights = [duals[name].model[0].weight for name in (toy.RANDOM, toy.STANDARD, toy.ROBUST)]
    assert not any(torch.equal(first_weights[0], trained) for trained in first_weights[1:])


@pytest.mark.parametrize("slopes", ["shared", "adaptive"])
def test_polygons_contain_all_reachable_outputs(toy, trained, slopes):
    """At other points of the box than the script's own; polygons shrunk to a tenth do not contain them."""
    x, y, duals = trained
    radius = toy.RADIUS
    for dual in duals.values():
        rows = toy.margin_and_sum(int(y[0]))
        spans = torch.from_numpy(numpy.ptp(toy.reached(dual, x[0], radius, rows), axis=(0, 1)))
        polygon = toy.outer_polygon(dual, x[0], radius, rows, spans, slopes)
        points = x[0].double() + radius * (2 * torch.rand(2000, 2, dtype=torch.float64) - 1)
        values = (dual.outputs(points) @ rows.T).detach().numpy()
        assert toy.contains(polygon, values)
        assert not toy.contains(shrunk(polygon), values)


def test_the_polygon_of_a_linear_network_is_its_image(toy):
    """A parallelogram, up to corners that a finite number of half-planes cannot reach."""
    layer = nn.Linear(2, 2).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[2.0, 1.0], [-1.0, 1.0]]))
    x, plane = torch.tensor([0.3, 0.7], dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    dual = autodual.compile_dual(layer)
    polygon = toy.outer_polygon(dual, x, 0.1, plane, torch.ones_like(x), "adaptive")
    assert toy.contains(polygon, toy.reached(dual, x, 0.1, plane))
    following = numpy.roll(polygon, -1, 0)
    area = (polygon[:, 0] * following[:, 1] - polygon[:, 1] * following[:, 0]).sum() / 2
    assert 0.12 <= area <= 0.12 * 1.1  # the determinant times the box


def test_a_point_outside_is_noticed(toy):
    square = numpy.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    assert toy.contains(square, square)
    assert not toy.contains(square, numpy.array([[0.5, 0.5], [1.001, 0.5]]))
    half = toy.clipped(square, numpy.array([1.0, 0.0]), 0.5)
    assert sorted(map(tuple, half)) == [(0.5, 0.0), (0.5, 1.0), (1.0, 0.0), (1.0, 1.0)]


@pytest.fixture
def command(toy, trained, monkeypatch):
    """The command, with the networks trained already."""
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(toy, "dual_networks", lambda *_: trained[2])
    return toy.main


def test_the_command_draws_both_pictures(command, tmp_path):
    found = CliRunner().invoke(command, ["--output-dir", str(tmp_path / "new"), "--seed", "0"])
    assert found.exit_code == 0, found.output
    assert "robust training: 4 of 4 boxes certified" in found.output
    for name in ("toy_2d_regions.png", "toy_2d_polytopes.png"):
        assert (tmp_path / "new" / name).read_bytes().startswith(b"\x89PNG")
        assert f"Saved {tmp_path / 'new' / name}" in found.output


def test_an_unsound_polygon_is_noticed(toy, command, monkeypatch, tmp_path):
    """The polygons are checked where they are drawn."""
    correct = toy.outer_polygon
    monkeypatch.setattr(toy, "outer_polygon", lambda *given: shrunk(correct(*given)))
    monkeypatch.setattr(toy, "draw_regions", lambda *_: toy.new_figure(1.0, 1.0))
    found = CliRunner().invoke(command, ["--output-dir", str(tmp_path), "--quiet"])
    assert isinstance(found.exception, AssertionError) and "leaves the bounds" in str(found.exception)
    assert found.output == ""


def test_quiet_prints_nothing(toy, command, monkeypatch, tmp_path):
    for draw in ("draw_regions", "draw_polytopes"):
        monkeypatch.setattr(toy, draw, lambda *_: toy.new_figure(1.0, 1.0))
    found = CliRunner().invoke(command, ["--output-dir", str(tmp_path), "--quiet"])
    assert found.exit_code == 0 and found.output == ""
    assert len(list(tmp_path.iterdir())) == 2
