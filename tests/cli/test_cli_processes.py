"""Several processes split a data set and together report what a single process would report."""

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
from torch import nn

SLOW = """
import time
from torch import nn
import autodual

certify = autodual.certify

def slowly(*arguments, **options):
    open({begun!r}, "a").write("x")
    time.sleep(1.0)
    return certify(*arguments, **options)

autodual.certify = slowly

def build():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
"""
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "autodual_cli"]


def shared(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`autodual ARGUMENTS` in two processes."""
    return subprocess.run([*TORCHRUN, *map(str, arguments)], capture_output=True, text=True, timeout=240)


def test_two_processes_certify_what_one_does(invoke, model_file: Path, data_file: Path, tmp_path: Path) -> None:
    arguments = ["certify", model_file, "--data", data_file, "--eps", 0.05, "--batch-size", 2, "--limit", 11]
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    assert invoke(*arguments, "--json", one).exit_code == 0
    done = shared(*arguments, "--json", two)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("certified error") == 1
    documents = [json.loads(path.read_text()) for path in (one, two)]
    for alone, together in zip(*(document["certificates"] for document in documents), strict=True):
        assert (alone["index"], alone["status"]) == (together["index"], together["status"])
        assert together["margin"] == pytest.approx(alone["margin"], abs=1e-6)  # batches differ
    for document in documents:
        document["summary"].pop("seconds", None)
    counts = [{k: v for k, v in document["summary"].items() if isinstance(v, int)} for document in documents]
    assert counts[0] == counts[1] and counts[0]["count"] == 11


def test_after_a_signal_all_processes_end_and_save_their_results(data_file: Path, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW.format(begun=str(tmp_path / "begun")))
    torch.save(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).state_dict(), tmp_path / "state.pt")
    out = tmp_path / "out.json"
    arguments = [
        "certify",
        tmp_path / "state.pt",
        "--arch",
        f"{tmp_path}/slow.py:build",
        "--data",
        data_file,
        "--eps",
        0.1,
    ]
    command = [*TORCHRUN, *map(str, [*arguments, "--batch-size", 1, "--json", out])]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode != 0
    document = json.loads(out.read_text())
    assert 0 < document["summary"]["count"] < 12, error
    resumed = shared(*arguments, "--batch-size", 1, "--json", out, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(out.read_text())["summary"]["count"] == 12
