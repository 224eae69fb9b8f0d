"""A run that is stopped keeps what it did, says so, and goes on to the same result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

SLOW_ARCHITECTURE = """
import time
from torch import nn
import autodual

certify = autodual.certify

def slowly(*arguments, **options):
    open({progress!r}, "a").write("x")
    time.sleep({pause})
    return certify(*arguments, **options)

autodual.certify = slowly

def build():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
"""


def command(folder: Path, *arguments: object) -> list[str]:
    fixed = ["certify", folder / "state.pt", "--arch", f"{folder}/slow.py:build", "--data", folder / "data.npz",
             "--eps", "0.02", "--batch-size", "1", "--json", folder / "out.json"]  # fmt: skip
    return [sys.executable, "-m", "autodual_cli", *map(str, [*fixed, *arguments])]


def statuses(folder: Path) -> dict[int, str]:
    rows = json.loads((folder / "out.json").read_text())["certificates"]
    return {row["index"]: row["status"] for row in rows}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_saves_and_resumes(tmp_path, data_file, network, number):
    torch.save(network.state_dict(), tmp_path / "state.pt")
    progress = tmp_path / "progress"
    slow = tmp_path / "slow.py"
    slow.write_text(SLOW_ARCHITECTURE.format(progress=str(progress), pause=0.3))
    process = subprocess.Popen(
        command(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 60
    while not (progress.exists() and progress.stat().st_size >= 3) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    assert "Interrupted after" in errors and "certified error" in output
    partial = statuses(tmp_path)
    assert 1 <= len(partial) < 12

    slow.write_text(SLOW_ARCHITECTURE.format(progress=str(progress), pause=0))
    progress.unlink()
    resumed = subprocess.run(command(tmp_path, "--resume"), capture_output=True, text=True, check=False)
    assert resumed.returncode == 0, resumed.stderr
    assert progress.stat().st_size == 12 - len(partial)
    complete = statuses(tmp_path)
    assert sorted(complete) == list(range(12))
    (tmp_path / "out.json").unlink()
    fresh = subprocess.run(command(tmp_path, "--quiet"), capture_output=True, text=True, check=False)
    assert fresh.returncode == 0 and fresh.stdout == "" and fresh.stderr == ""
    assert statuses(tmp_path) == complete


def test_resuming_with_other_settings_is_refused(invoke, tmp_path, model_file, data_file):
    fixed = ["certify", model_file, "--data", data_file, "--json", tmp_path / "out.json"]
    assert invoke(*fixed, "--eps", "0.1", "--limit", 2).exit_code == 0
    result = invoke(*fixed, "--eps", "0.2", "--resume")
    assert result.exit_code == 2 and "was made with eps = 0.1, not 0.2" in result.stderr
    result = invoke(*fixed, "--eps", "0.1", "--resume", "--skip", 1)
    assert result.exit_code == 2 and "holds sample 0, which --skip and --limit leave out" in result.stderr
    assert invoke(*fixed, "--eps", "0.1", "--resume", "--limit", 5, "--batch-size", 3).exit_code == 0
    assert sorted(statuses(tmp_path)) == list(range(5))
