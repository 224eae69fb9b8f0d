"""`--exact` and `--bracket` of certify, verify and radius, and the evidence file that a contradiction writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch


def test_exact_decisions_and_the_bracket_are_reported(invoke, tmp_path: Path, model_file: Path, data_file: Path):
    out = tmp_path / "out.json"
    # A weak attack and loose bounds leave samples undecided, for the exact method to decide.
    how = ("--eps", "0.12", "--slopes", "shared", "--attack", "fgsm", "--exact", "--time-limit", "30", "--bracket")
    result = invoke("certify", model_file, "--data", data_file, *how, "--json", out)
    assert result.exit_code == 0, result.stderr
    document = json.loads(out.read_text())
    summary, rows = document["summary"], document["certificates"]
    assert {key: document["settings"][key] for key in ("exact", "time_limit", "bracket")} == {
        "exact": True,
        "time_limit": 30.0,
        "bracket": True,
    }
    assert summary["unknown"] == 0 and summary["bracket"]["certified"] == summary["certified"]
    assert summary["bracket"]["unbroken"] == sum(not row["attacked"] for row in rows) == summary["certified"]
    tried = [row["exact"] for row in rows if "exact" in row]
    assert tried and summary["exact"] == {"tried": len(tried), "out_of_time": 0}
    assert "robust samples" in result.stdout and "decided exactly" in result.stdout
    again = invoke("replay", out)
    assert again.exit_code == 0, again.stdout + again.stderr
    assert invoke("report", out).exit_code == 0
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    assert "robust in truth" in page and "decided exactly" in page


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--time-limit", "3"], "give --exact with it"),
        (["--exact", "--time-limit", "0"], "more than 0 seconds"),
        (["--bracket"], "give --attack with it"),
        (["--exact", "--norm", "l2"], "flat sides"),
    ],
)
def test_options_that_do_not_fit_are_refused(invoke, model_file, data_file, arguments, message):
    result = invoke("certify", model_file, "--data", data_file, "--eps", "0.1", *arguments)
    assert result.exit_code == 2 and message in result.stderr


def test_a_contradiction_stops_and_keeps_its_evidence(invoke, tmp_path, model_file, data_file, unsound, monkeypatch):
    out = tmp_path / "out.json"
    how = ("--eps", "0.3", "--attack", "20", "--bracket", "--json", out)
    result = invoke("certify", model_file, "--data", data_file, *how)
    assert result.exit_code == 3 and "one of the two is wrong" in result.stderr
    (kept,) = tmp_path.glob("contradiction-*.json")
    assert kept.name in result.stderr
    document = json.loads(kept.read_text())
    evidence = document["evidence"]
    assert document["settings"]["model_sha256"] and evidence["value"] < evidence["bound"]
    point = torch.tensor(evidence["point"], dtype=torch.float64)
    assert (point - torch.tensor(evidence["original"])).abs().max() <= 0.3 + 1e-6
    # Later runs, with or without --json, do not overwrite the first evidence file.
    first = kept.read_text()
    current = tmp_path / "current"
    current.mkdir()
    monkeypatch.chdir(current)
    invoke("certify", model_file, "--data", data_file, *how[:-2])
    assert len(list(current.glob("contradiction-*.json"))) == 1
    invoke("certify", model_file, "--data", data_file, *how, "--overwrite")
    assert kept.read_text() == first and len(list(tmp_path.glob("contradiction-*.json"))) == 2


def test_radii_are_attacked(invoke, tmp_path, model_file, data_file, unsound):
    out = tmp_path / "out.json"
    result = invoke("radius", model_file, "--data", data_file, "--attack", "20", "--json", out)
    assert result.exit_code == 3 and "one of the two is wrong" in result.stderr
    assert list(tmp_path.glob("contradiction-*.json"))


PROPERTY = """
(declare-const X_0 Real) (declare-const X_1 Real) (declare-const X_2 Real) (declare-const X_3 Real)
(declare-const Y_0 Real) (declare-const Y_1 Real) (declare-const Y_2 Real)
(assert (>= X_0 0)) (assert (<= X_0 1)) (assert (>= X_1 0)) (assert (<= X_1 1))
(assert (>= X_2 0)) (assert (<= X_2 1)) (assert (>= X_3 0)) (assert (<= X_3 1))
(assert (>= (- Y_0 Y_1) {bound}))
"""


@pytest.mark.parametrize("effort", ["fast", "complete"])
def test_properties_are_decided_exactly(invoke, tmp_path, network, model_file, effort):
    points = torch.rand(20_000, 4)
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)
    with torch.no_grad():
        outputs = network(torch.cat([points, corners]))
    most = float((outputs[:, 0] - outputs[:, 1]).max())
    for bound, expected in ((most + 0.02, "unsat"), (most - 0.01, "sat")):  # nearer than bounds over intervals prove
        goal, out = tmp_path / f"{expected}.vnnlib", tmp_path / f"{expected}.json"
        goal.write_text(PROPERTY.format(bound=bound))
        how = ("--exact", "--effort", effort, "--bracket", "--input-shape", "4", "--json", out)
        result = invoke("verify", model_file, goal, *how)
        assert result.exit_code == 0 and result.stdout.startswith(expected), result.stderr
        document = json.loads(out.read_text())
        assert document["settings"]["exact"] is True and document["settings"]["time_limit"] == 60.0
        again = invoke("replay", out)
        assert again.exit_code == 0, again.stdout


def test_a_proof_that_an_attack_contradicts_stops(invoke, tmp_path, network, model_file, unsound, monkeypatch):
    from autodual.certification.verdicts import decide_property

    monkeypatch.setattr(decide_property, "decided", lambda run, attack, dtype: run.open.clear())
    goal = tmp_path / "goal.vnnlib"
    goal.write_text(PROPERTY.format(bound=-100))
    result = invoke("verify", model_file, goal, "--bracket", "--json", tmp_path / "out.json")
    assert result.exit_code == 3 and "has a counterexample" in result.stderr
    assert list(tmp_path.glob("contradiction-*.json"))
