"""`autodual evaluate`: figures of several networks beside one another, resumed, and never contradictory."""

from __future__ import annotations

import csv
import json
import signal
import statistics
from pathlib import Path

import pytest
import torch
from torch import nn

import autodual
from autodual.report.network_figures import FIGURES, network_figures, spread

HOW = ("--eps", "0.12", "--attack", "pgd:steps=5", "--timeout", "2", "--quiet")


@pytest.fixture
def other_file(tmp_path: Path, network: nn.Module) -> Path:
    """The same classifier with its last layer disturbed a little."""
    torch.manual_seed(2)
    with torch.no_grad():
        network[2].weight.add_(0.1 * torch.randn(3, 8))
    torch.save(network, tmp_path / "other.pt")
    return tmp_path / "other.pt"


def test_figures_are_those_of_certify_for_each_network(
    invoke, tmp_path: Path, model_file: Path, other_file: Path, data_file: Path
) -> None:
    out = tmp_path / "evaluation"
    result = invoke("evaluate", model_file, other_file, "--data", data_file, *HOW, "--output", out)
    assert result.exit_code == 0, result.stderr
    document = json.loads((out / "evaluation.json").read_text())
    found = [one["figures"] for one in document["networks"]]
    for number, (path, figures) in enumerate(zip((model_file, other_file), found), 1):
        alone = tmp_path / f"alone-{number}.json"
        how = ("--eps", "0.12", "--attack", "pgd:steps=5", "--bracket", "--effort", "high", "--timeout", "2")
        assert invoke("certify", path, "--data", data_file, *how, "--json", alone).exit_code == 0
        summary = json.loads(alone.read_text())["summary"]
        assert figures["clean_error"] == pytest.approx(summary["clean_error"])
        assert figures["certified_by_search_error"] == pytest.approx(summary["certified_error"])
        assert figures["attacked_error"] == pytest.approx(1 - summary["bracket"]["unbroken"] / 12)
    for name in FIGURES:
        values = [figures[name] for figures in found]
        assert document["mean"][name] == pytest.approx(statistics.mean(values))
        assert document["deviation"][name] == pytest.approx(statistics.stdev(values))
    with (out / "evaluation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["network"] for row in rows] == [str(model_file), str(other_file), "mean", "deviation"]


def test_an_evaluation_goes_on_where_it_was(invoke, tmp_path: Path, model_file: Path, data_file: Path) -> None:
    out = tmp_path / "evaluation"
    assert invoke("evaluate", model_file, "--data", data_file, *HOW, "--limit", 4, "--output", out).exit_code == 0
    again = invoke("evaluate", model_file, "--data", data_file, *HOW, "--output", out)
    assert again.exit_code == 2 and "--resume" in again.stderr
    before = json.loads((out / "network-1.json").read_text())["certificates"]
    resumed = invoke("evaluate", model_file, "--data", data_file, *HOW, "--output", out, "--resume")
    assert resumed.exit_code == 0, resumed.stderr
    rows = json.loads((out / "network-1.json").read_text())["certificates"]
    assert rows[:4] == before and len(rows) == 12


def test_an_interrupted_evaluation_leaves_nothing_of_the_one_it_replaces(
    invoke, tmp_path: Path, model_file: Path, other_file: Path, data_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, how = tmp_path / "evaluation", (*HOW, "--limit", 4, "--batch-size", 2, "--output", tmp_path / "evaluation")
    assert invoke("evaluate", model_file, other_file, "--data", data_file, *how).exit_code == 0
    (out / "network-notes.json").write_text("mine")
    whole = {path.name for path in out.iterdir()}
    unfit = ("evaluate", model_file, "--data", data_file, *how, "--skip", 40, "--overwrite")
    assert invoke(*unfit).exit_code == 2 and {path.name for path in out.iterdir()} == whole
    certify, calls = autodual.certify, []

    def stopped(*arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGTERM)
        return certify(*arguments, **options)

    monkeypatch.setattr(autodual, "certify", stopped)
    for again in ("--overwrite", "--resume"):
        calls.clear()
        result = invoke("evaluate", model_file, "--data", data_file, *how, "--limit", 8, again)
        assert result.exit_code == 128 + signal.SIGTERM, result.output
        assert {path.name for path in out.iterdir()} == {"network-1.json", "network-notes.json"}
    rows = json.loads((out / "network-1.json").read_text())["certificates"]
    assert [row["index"] for row in rows] == [0, 1, 2, 3]
    both = invoke("evaluate", model_file, "--data", data_file, *how, "--overwrite", "--resume")
    assert both.exit_code == 2 and "Give either --resume" in both.stderr


def test_a_certified_sample_that_breaks_stops_the_evaluation(
    invoke, tmp_path: Path, model_file: Path, data_file: Path, unsound
) -> None:
    out = tmp_path / "evaluation"
    how = ("--eps", "0.3", "--attack", "20", "--timeout", "0", "--output", out)
    result = invoke("evaluate", model_file, "--data", data_file, *how)
    assert result.exit_code == 3 and "one of the two is wrong" in result.stderr
    assert list(out.glob("contradiction-*.json")) and not (out / "evaluation.json").exists()


def test_each_figure_counts_the_proofs_of_the_one_before() -> None:
    stages = ["intervals", "adaptive", "optimized", "search"]
    rows = [{"status": "certified", "stage": stage, "attacked": False} for stage in stages]
    rows.append({"status": "misclassified", "stage": "search", "attacked": True})
    assert network_figures(rows) == {
        "clean_error": 0.2,
        "attacked_error": 0.2,
        "certified_by_intervals_error": 0.8,
        "certified_by_bounds_error": 0.4,
        "certified_by_search_error": 0.2,
    }
    assert spread([{"clean_error": 0.2}])["deviation"] == {"clean_error": None}
