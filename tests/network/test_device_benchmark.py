"""The script that measures GPUs runs to its end on the CPU, at a small size, and finds sound bounds there."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "device.py"


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return runpy.run_path(str(SCRIPT), run_name="device")["main"]


def test_all_parts_run_on_the_cpu(main, tmp_path):
    found = main(["--device", "cpu", "--small", "--out", str(tmp_path / "device.json")])
    assert json.loads((tmp_path / "device.json").read_text(encoding="utf-8")) == found
    parts = ("tests", "precision", "waits", "memory", "times", "epoch", "graphs")
    assert not [name for name in parts if "failed" in found[name]], found
    for network in found["precision"].values():
        assert network["sound"] and network["float32"] < 1e-5
    assert found["memory"]["kept"]
    assert all(
        set(row) == {"forward", "interval", "interval inside", "shared", "adaptive"} for row in found["times"].values()
    )
    assert all(max(row["difference"].values()) < 1e-6 for row in found["graphs"].values())
    assert found["epoch"]["steps measured"] == found["epoch"]["steps an epoch"]


def test_parts_for_which_no_time_is_left_are_named(main, tmp_path):
    found = main(["--device", "cpu", "--small", "--seconds", "0", "--out", str(tmp_path / "device.json")])
    assert found["precision"] == found["epoch"] == {"skipped": "no time left"}
