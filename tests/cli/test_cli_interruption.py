"""An interrupted run saves its results, says so, and can be resumed to the same final result."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

import autodual

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


def write_architecture(folder: Path, pause: float) -> None:
    (folder / "slow.py").write_text(SLOW_ARCHITECTURE.format(progress=str(folder / "progress"), pause=pause))


def batches(folder: Path) -> int:
    """How many batches were started since the progress file was last removed."""
    progress = folder / "progress"
    return progress.stat().st_size if progress.exists() else 0


def command(folder: Path, *arguments: object) -> list[str]:
    fixed = ["certify", folder / "state.pt", "--arch", f"{folder}/slow.py:build", "--data", folder / "data.npz",
             "--eps", "0.02", "--batch-size", "1", "--json", folder / "out.json"]  # fmt: skip
    return [sys.executable, "-m", "autodual_cli", *map(str, [*fixed, *arguments])]


def statuses(folder: Path, name: str = "out.json") -> dict[int, str]:
    rows = json.loads((folder / name).read_text())["certificates"]
    return {row["index"]: row["status"] for row in rows}


def stop_after_three_batches(folder: Path, network: nn.Module, number: signal.Signals) -> tuple[str, str]:
    """Start a slow run, send it the signal, check that it saved its results, and return what it printed."""
    torch.save(network.state_dict(), folder / "state.pt")
    write_architecture(folder, pause=0.3)
    process = subprocess.Popen(command(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while batches(folder) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    assert 1 <= len(statuses(folder)) < 12
    return output, errors


def test_a_terminated_run_saves_and_says_so(tmp_path, data_file, network):
    output, errors = stop_after_three_batches(tmp_path, network, signal.SIGTERM)
    assert "Interrupted after" in errors and "certified error" in output
    assert [path.name for path in tmp_path.glob(".out.json*")] == []


def test_a_run_stopped_by_ctrl_c_resumes_to_the_same_result(invoke, tmp_path, data_file, model_file, network):
    stop_after_three_batches(tmp_path, network, signal.SIGINT)
    done = len(statuses(tmp_path))
    write_architecture(tmp_path, pause=0)
    (tmp_path / "progress").unlink()
    resumed = subprocess.run(command(tmp_path, "--resume", "--quiet"), capture_output=True, text=True, check=False)
    assert resumed.returncode == 0 and resumed.stdout == "" and resumed.stderr == ""
    assert batches(tmp_path) == 12 - done
    fresh = tmp_path / "fresh.json"
    assert invoke("certify", model_file, "--data", data_file, "--eps", "0.02", "--json", fresh).exit_code == 0
    assert statuses(tmp_path) == statuses(tmp_path, "fresh.json")
    assert len(statuses(tmp_path)) == 12


def test_resuming_with_other_settings_is_refused(invoke, tmp_path, model_file, data_file):
    fixed = ["certify", model_file, "--data", data_file, "--json", tmp_path / "out.json"]
    assert invoke(*fixed, "--eps", "0.1", "--limit", 2).exit_code == 0
    result = invoke(*fixed, "--eps", "0.2", "--resume")
    assert (
        result.exit_code == 2
        and "was made with --eps 0.1, not --eps 0.2; give --eps 0.1, or name another file" in result.stderr
    )
    result = invoke(*fixed, "--eps", "0.1", "--resume", "--skip", 1)
    assert result.exit_code == 2 and "holds sample 0, which --skip and --limit leave out" in result.stderr
    assert invoke(*fixed, "--eps", "0.1", "--resume", "--limit", 5, "--batch-size", 3).exit_code == 0
    assert sorted(statuses(tmp_path)) == list(range(5))


def test_a_changed_setting_is_named_by_its_option(invoke, tmp_path, model_file, data_file):
    """For each resumable command, also for settings whose option has another name or a value of several parts."""
    fixed = [model_file, "--data", data_file, "--limit", 1, "--json", tmp_path / "out.json"]
    for command, first, second, words in (
        (
            "certify",
            ["--eps", "0.1"],
            ["--eps", "0.1", "--attack", 3],
            "was made without --attack; leave it out, or name",
        ),
        (
            "certify",
            ["--eps", "0.1"],
            ["--eps", "0.1", "--spec", "y0 > y1"],
            "was made without --spec; leave it out, or",
        ),
        (
            "certify",
            ["--eps", "0.1", "--domain", "0,1"],
            ["--eps", "0.1"],
            "was made with --domain 0.0,1.0; give it again",
        ),
        (
            "detect",
            ["--eps", "0.1"],
            ["--eps", "0.1", "--dtype", "float64"],
            "--dtype float32, not --dtype float64; give",
        ),
        ("radius", ["--max-radius", "0.1"], ["--max-radius", "0.2"], "give --max-radius 0.1, or"),
        ("radius", ["--norm", "l2"], [], "made with --norm l2, not --norm linf; give --norm l2"),
    ):
        assert invoke(command, *fixed, *first, "--overwrite").exit_code == 0
        result = invoke(command, *fixed, *second, "--resume")
        assert result.exit_code == 2 and words in result.stderr and result.stderr.count(". ") == 0


def test_work_is_saved_while_it_goes_on(invoke, tmp_path, model_file, data_file, monkeypatch):
    """A crash, unlike a signal, closes nothing cleanly, so the run resumes from the last periodic save."""
    original, calls = autodual.certify, []

    def crash_at_the_third_batch(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("a crash")
        return original(*arguments, **options)

    monkeypatch.setattr(autodual, "certify", crash_at_the_third_batch)
    monkeypatch.setattr("autodual_cli.jobs.result_files._SECONDS_BETWEEN_SAVES", 0.0)
    fixed = [
        "certify",
        model_file,
        "--data",
        data_file,
        "--eps",
        "0.1",
        "--batch-size",
        2,
        "--json",
        tmp_path / "out.json",
    ]
    assert isinstance(invoke(*fixed).exception, RuntimeError)
    assert sorted(statuses(tmp_path)) == [0, 1, 2, 3]
    assert invoke(*fixed, "--resume").exit_code == 0
    assert sorted(statuses(tmp_path)) == list(range(12)) and len(calls) == 3 + 4


def test_a_killed_run_leaves_no_table_of_the_run_that_it_replaces(invoke, tmp_path, model_file, data_file, monkeypatch):
    class Killed(BaseException):
        """Nothing is written on the way out, as after SIGKILL."""

    original, calls = autodual.certify, []

    def killed_at_the_third_batch(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise Killed
        return original(*arguments, **options)

    files = ["--json", tmp_path / "out.json", "--csv", tmp_path / "out.csv"]
    fixed = ["certify", model_file, "--data", data_file, "--batch-size", 2, *files]
    assert invoke(*fixed, "--eps", "0.3").exit_code == 0
    monkeypatch.setattr(autodual, "certify", killed_at_the_third_batch)
    monkeypatch.setattr("autodual_cli.jobs.result_files._SECONDS_BETWEEN_SAVES", 0.0)
    with pytest.raises(Killed):
        invoke(*fixed, "--eps", "0.1", "--overwrite")
    assert [line.partition(",")[0] for line in (tmp_path / "out.csv").read_text().splitlines()[1:]] == list("0123")
    assert invoke(*fixed, "--eps", "0.1", "--resume").exit_code == 0
    assert sorted(statuses(tmp_path)) == list(range(12))
