"""Measured constants: each has a command that measures it, and none of them changes a bound."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

import autodual
from autodual.measured import measured


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "measure_constants.py"
    spec = importlib.util.spec_from_file_location("measure_constants", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["measure_constants"] = module  # dataclasses look up their module there
    spec.loader.exec_module(module)
    return module


def test_every_constant_has_its_measurement(benchmark: ModuleType) -> None:
    constants = {entry.name for entry in fields(measured)} - {"work_of_a_wait"}  # only a GPU can tell that one
    assert constants == set(benchmark.TIMES) | set(benchmark.MEMORY)


@pytest.mark.parametrize("name", ["row_tensors", "sample_tensors", "interval_tensors"])
def test_memory_constants_agree_with_the_profiler(benchmark: ModuleType, name: str) -> None:
    """The constant covers the measured memory, small tensors beside the rows aside, and is at most six times it."""
    (found,) = benchmark.main([name], benchmark.QUICK)
    assert found.in_force == getattr(measured, name) and found.cost is None
    assert found.here / 1.15 <= found.in_force <= 6 * found.here


def test_a_time_constant_is_restored_after_its_sweep(benchmark: ModuleType) -> None:
    (found,) = benchmark.main(["fold_channels"], benchmark.Size(pixels=8, width=8, samples=1, repeats=1))
    assert found.here in (0, 4, 8, 16, 32) and found.cost is not None and found.cost >= 0
    assert found.in_force == measured.fold_channels


def test_bounds_do_not_depend_on_time_constants(benchmark: ModuleType) -> None:
    """They choose between two ways to compute a bound, which give the same number up to rounding."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    ).double()
    x, labels = torch.rand(3, 2, 8, 8, dtype=torch.float64), torch.arange(3)
    dual, ball = autodual.compile_dual(model, x), autodual.LinfBall(0.05)
    expected = dual.margins(x, labels, ball)
    for name, (multiples, _) in benchmark.TIMES.items():
        value = getattr(measured, name)
        for multiple in {min(multiples), max(multiples)}:
            with benchmark.instead(name, type(value)(value * multiple)):
                torch.testing.assert_close(dual.margins(x, labels, ball), expected, atol=1e-12, rtol=1e-12)
