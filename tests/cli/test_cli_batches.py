"""Batches follow from the samples and the network, never from the clock, so that two runs compute the same bits."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

import autodual
from autodual.certification.growing_batches import growing_batches, samples_at_once


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Forty-five samples of four features."""
    numpy.savez(tmp_path / "many.npz", x=numpy.random.default_rng(0).random((45, 4), dtype="float32"))
    return tmp_path / "many.npz"


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of the batches that are certified from now on."""
    found, certify = [], autodual.certify

    def noted(dual, x, *rest, **how):
        found.append(len(x))
        return certify(dual, x, *rest, **how)

    monkeypatch.setattr(autodual, "certify", noted)
    return found


def run(invoke, model: Path, data: Path, out: Path, *more: object) -> list[dict]:
    result = invoke("certify", model, "--data", data, "--eps", 0.05, "--json", out, *more)
    assert result.exit_code == 0, result.output
    return json.loads(out.read_text())["certificates"]


def test_the_clock_decides_about_no_batch(invoke, model_file, many, tmp_path, monkeypatch, sizes) -> None:
    first = run(invoke, model_file, many, tmp_path / "first.json")
    hours = iter(numpy.cumsum([3600.0] * 100_000).tolist())
    monkeypatch.setattr("time.process_time", lambda: next(hours))
    monkeypatch.setattr("time.monotonic", lambda: next(hours))
    assert run(invoke, model_file, many, tmp_path / "slow.json") == first
    assert sizes == 2 * [10, 20, 15]


def test_a_run_that_goes_on_finds_the_same_bits(invoke, model_file, many, tmp_path) -> None:
    whole = run(invoke, model_file, many, tmp_path / "whole.json")
    run(invoke, model_file, many, tmp_path / "part.json", "--limit", 30)  # ends where a batch of the whole run does
    assert run(invoke, model_file, many, tmp_path / "part.json", "--resume") == whole


def test_a_given_size_is_kept(invoke, model_file, many, tmp_path, sizes) -> None:
    run(invoke, model_file, many, tmp_path / "out.json", "--batch-size", 20)
    assert sizes == [20, 20, 5]


def test_samples_that_are_left_out_need_no_set(invoke, model_file, tmp_path) -> None:
    x = numpy.random.default_rng(0).random((45, 4), dtype="float32")
    x[0] = 5.0  # outside the domain
    numpy.savez(tmp_path / "many.npz", x=x)
    rows = run(invoke, model_file, tmp_path / "many.npz", tmp_path / "out.json", "--domain", "0,1", "--skip", 1)
    assert len(rows) == 44


@pytest.mark.parametrize(("count", "first", "most"), [(100, 10, 40), (7, 10, 3), (1, 1, 1), (1000, 3, 64)])
def test_batches_cover_all_samples_and_stay_small(count: int, first: int, most: int) -> None:
    batches = list(growing_batches(count, first, most))
    assert [place for batch in batches for place in batch] == list(range(count))
    assert all(len(batch) <= max(first, most) for batch in batches)
    assert all(len(one) <= len(other) for one, other in pairwise(batches[:-1]))


def test_more_rows_and_more_bounds_make_smaller_batches() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 6)
    sizes = []
    for width in (8, 64):
        layers = [nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3)]
        dual = autodual.compile_dual(nn.Sequential(*layers), x)
        sizes.append([samples_at_once(dual, autodual.LinfBall(0.1).at(x), bounds) for bounds in (1, 10)])
    # Rows of units of the second layer, which read two layers' weights, and of outputs, which read all.
    assert sizes[0][0] == int(6e10 / (8 * (8 * 6 + 8 * 8) + 3 * (8 * 6 + 8 * 8 + 3 * 8)))
    assert sizes[0][0] > sizes[1][0] and sizes[0][0] // 10 == sizes[0][1]
