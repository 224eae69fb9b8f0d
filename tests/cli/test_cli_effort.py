"""`--effort` of certify and verify: what documents record, and what does not go with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_efforts_name_their_stages_and_are_recorded(invoke, tmp_path: Path, model_file: Path, data_file: Path) -> None:
    out = tmp_path / "out.json"
    how = ("--eps", "0.12", "--effort", "high", "--timeout", "5", "--total-timeout", "60")
    result = invoke("certify", model_file, "--data", data_file, *how, "--json", out)
    assert result.exit_code == 0, result.stderr
    document = json.loads(out.read_text())
    assert {name: document["settings"][name] for name in ("effort", "timeout", "total_timeout")} == {
        "effort": "high",
        "timeout": 5.0,
        "total_timeout": 60.0,
    }
    stages = [row["stage"] for row in document["certificates"]]
    assert set(stages) <= {"intervals", "adaptive", "optimized", "search"} and "intervals" in stages
    again = invoke("replay", out)
    assert again.exit_code == 0, again.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--timeout", "1"), "give --effort high or complete"),
        (("--effort", "fast", "--total-timeout", "1"), "give --effort high or complete"),
        (("--effort", "high", "--slopes", "shared"), "decides about slopes itself"),
        (("--effort", "high", "--timeout", "0"), "must leave some time"),
    ],
)
def test_what_does_not_go_with_an_effort_is_refused(
    invoke, model_file: Path, data_file: Path, options: tuple[str, ...], words: str
) -> None:
    result = invoke("certify", model_file, "--data", data_file, "--eps", "0.1", *options)
    assert result.exit_code == 2 and words in result.stderr


def test_replay_leaves_out_what_time_decided(invoke, tmp_path: Path, model_file: Path, data_file: Path) -> None:
    """The recorded search got less far than the one now, so that nothing it says can be wrong."""
    out = tmp_path / "out.json"
    how = ("--eps", "0.12", "--effort", "high", "--timeout", "5")
    assert invoke("certify", model_file, "--data", data_file, *how, "--json", out).exit_code == 0
    document = json.loads(out.read_text())
    row = next(row for row in document["certificates"] if row["parts"] and row["status"] == "falsified")
    row |= {"status": "unknown", "counterexample": None, "reached": None, "parts": 1}
    summary = document["summary"]
    summary["falsified"], summary["unknown"] = summary["falsified"] - 1, summary["unknown"] + 1
    out.write_text(json.dumps(document))
    again = invoke("replay", out)
    assert f"sample {row['index']}: unknown then, falsified now, and time decided one of them" in again.stdout
    assert again.exit_code == 0, again.stdout
