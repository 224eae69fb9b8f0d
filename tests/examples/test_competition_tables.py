"""The scripts that make the tables of verification benchmarks: what they pick, count and call certified."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

from autodual.properties.instance_list import load_instances

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def test_instances_are_spread_and_tools_counted(script, tmp_path) -> None:
    vnncomp = script("vnncomp")
    lines = [f"n{place}.onnx,p.vnnlib,60,{'sat' if place % 2 else 'unsat'},a@2021 b@2022,a@2023" for place in range(9)]
    (tmp_path / "instances.csv").write_text("\n".join(["onnx,vnnlib,timeout,expected,unsat_by,sat_by", *lines]))
    places = vnncomp.chosen(load_instances(tmp_path / "instances.csv"), 3)
    assert places == [0, 4, 8] and vnncomp.chosen([], 3) == []
    assert vnncomp.tools(tmp_path, places) == ("a", 1.0)
    assert vnncomp.tools(tmp_path, [0, 1, 2, 3]) == ("a", 1.0)


def test_wrong_answers_show_in_the_table(script) -> None:
    vnncomp = script("vnncomp")
    rows = [
        {"status": status, "expected": "unsat", "seconds": 2.0, "cpu_seconds": 2.0, "parts": parts}
        for status, parts in (("unsat", 100), ("timeout", 300), ("sat", 0))
    ]
    line = dict(zip(vnncomp.COLUMNS, vnncomp.row("x", rows, None)))
    assert (line["open"], line["wrong"], line["score"], line["parts/CPU s"]) == ("1", "1", "-467 %", "100")


def test_published_networks_have_the_inputs_of_their_data_set(script) -> None:
    published = script("published_networks")
    for network in published.NETWORKS.values():
        channels, side = (1, 28) if "mnist" in network.factory else (3, 32)
        assert getattr(published, network.factory)()(torch.zeros(2, channels, side, side)).shape == (2, 10)


def test_shares_are_of_all_images(script) -> None:
    accuracy, published = script("verified_accuracy"), script("published_networks")
    summary = {"count": 10, "misclassified": 2, "certified": 5, "falsified": 1, "seconds": 20.0}
    network = next(iter(published.NETWORKS.values()))
    line = dict(zip(accuracy.COLUMNS, accuracy.row("x", network, {"summary": summary})))
    assert (line["clean"], line["certified"], line["not broken"]) == ("80.0 %", "50.0 %", "70.0 %")
