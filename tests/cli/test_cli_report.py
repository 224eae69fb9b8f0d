"""`autodual report` and the provenance it shows: digests of files, versions, and the command."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys

import numpy
import pytest
import torch
from autodual_cli.output.provenance import with_earlier

import autodual


@pytest.fixture
def result(invoke, tmp_path, model_file, data_file):
    """The document of a run that certifies some samples and falsifies others."""
    path = tmp_path / "result.json"
    run = invoke("certify", model_file, "--data", data_file, "--eps", 0.05, "--attack", 20, "--json", path)
    assert run.exit_code == 0, run.stderr
    return path


def settings_of(path):
    return json.loads(path.read_text())["settings"]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_document_records_its_provenance(invoke, tmp_path, model_file, data_file):
    for command, extra in (("certify", ["--eps", "0.1"]), ("radius", []), ("detect", ["--eps", "0.1"])):
        out = tmp_path / f"{command}.json"
        arguments = [model_file, "--data", data_file, *extra, "--json", out]
        assert invoke(command, *arguments).exit_code == 0
        record = settings_of(out)["provenance"]
        assert record["command"] == shlex.join(["autodual", command, *map(str, arguments)])
        assert [(file["role"], file["sha256"]) for file in record["files"]] == [
            ("model", sha256(model_file)), ("data", sha256(data_file))
        ]  # fmt: skip
        assert record["versions"] == {
            "autodual": autodual.__version__, "torch": torch.__version__, "numpy": numpy.__version__,
            "python": ".".join(map(str, sys.version_info[:3])),
        }  # fmt: skip
        assert record["started"].endswith("+00:00") and record["device"].startswith("cpu: ")
        assert len(record["source_sha256"]) == 64
        assert record["samples"] == 12 and "units" in record and record["platform"]


def test_code_boxes_and_specifications_are_hashed_too(invoke, tmp_path, data_file, network):
    torch.save(network.state_dict(), tmp_path / "state.pt")
    code = tmp_path / "arch.py"
    code.write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))\n"
    )
    for name in ("l", "u"):
        numpy.save(tmp_path / f"{name}.npy", numpy.zeros(4))
    box = f"{tmp_path}/l.npy,{tmp_path}/u.npy"
    goal = tmp_path / "goal.json"
    goal.write_text('{"matrix": [[1, 0, 0]], "offset": [-100]}')
    out = tmp_path / "out.json"
    arguments = ["--arch", f"{code}:build", "--data", data_file, "--box", box, "--spec", goal, "--json", out]
    assert invoke("certify", tmp_path / "state.pt", *arguments).exit_code == 0
    files = {file["role"]: file["sha256"] for file in settings_of(out)["provenance"]["files"]}
    assert files["architecture"] == sha256(code) and files["specification"] == sha256(goal)
    assert files["box, lower"] == files["box, upper"] == sha256(tmp_path / "l.npy")
    goal.write_text('{"matrix": [[1, 0, 0]], "offset": [-99]}')
    changed = invoke("certify", tmp_path / "state.pt", *arguments, "--resume")
    assert changed.exit_code == 2 and "The specification file has changed since" in changed.stderr
    changed = invoke("replay", out, "--arch", f"{code}:build")
    assert changed.exit_code == 2 and "The specification is not the one of the recorded run" in changed.stderr


def test_a_changed_file_is_not_resumed_from(invoke, tmp_path, model_file, data_file, network):
    out = tmp_path / "out.json"
    run = ["certify", model_file, "--data", data_file, "--eps", "0.1", "--json", out, "--resume"]
    assert invoke(*run, "--limit", 5).exit_code == 0
    kept = out.read_bytes()
    x, y = (numpy.load(data_file)[key] for key in "xy")
    numpy.savez(data_file, x=x + 0.01, y=y)
    changed = invoke(*run)
    assert changed.exit_code == 2 and "The data file has changed since" in changed.stderr
    numpy.savez(data_file, x=x, y=y)
    assert invoke(*run, "--limit", 6).exit_code == 0
    with torch.no_grad():
        network[0].bias += 1
    torch.save(network, model_file)
    changed = invoke(*run)
    assert changed.exit_code == 2 and "The model file has changed since" in changed.stderr
    assert out.read_bytes() != kept  # the second run had added a row


def test_a_resumed_run_keeps_the_provenance_of_the_first(invoke, tmp_path, model_file, data_file):
    out = tmp_path / "out.json"
    run = ["certify", model_file, "--data", data_file, "--eps", "0.1", "--json", out, "--resume"]
    for limit in (3, 6, 9):
        assert invoke(*run, "--limit", limit).exit_code == 0
    record = settings_of(out)["provenance"]
    assert "--limit 9" in record["command"]
    for place, limit in enumerate((3, 6)):
        assert f"--limit {limit}" in record["earlier"][place]["command"]
    assert len(record["earlier"]) == 2 and "earlier" not in record["earlier"][1]
    assert with_earlier({"eps": 1}, record) == {"eps": 1}


def test_the_page_is_written_beside_the_document(invoke, result, model_file, data_file):
    run = invoke("report", result)
    assert run.exit_code == 0, run.stderr
    page = result.with_suffix(".html").read_text(encoding="utf-8")
    assert run.stdout == f"Wrote {result.with_suffix('.html')}.\n"
    for expected in (sha256(model_file), sha256(data_file), sha256(result), "‖x′ − x‖∞ ≤ 0.05", "NOT clipped"):
        assert expected in page
    assert "contradicts itself" not in page


def test_counterexamples_are_saved_and_linked(invoke, tmp_path, result):
    page = tmp_path / "pages" / "page.html"
    page.parent.mkdir()
    run = invoke("report", result, "--html", page, "--counterexamples", tmp_path / "points", "--worst", 3)
    assert run.exit_code == 0, run.stderr
    refuted = [row for row in json.loads(result.read_text())["certificates"] if row["status"] == "falsified"]
    assert refuted
    for row in refuted:
        name = f"counterexample_{row['index']}.npy"
        assert numpy.load(tmp_path / "points" / name).tolist() == row["counterexample"]
        assert f'href="../points/{name}"' in page.read_text()
    assert "The worst 3 of 12" in page.read_text()


@pytest.mark.parametrize("command", ["radius", "detect"])
def test_other_runs_have_pages_too(invoke, tmp_path, model_file, data_file, command):
    out = tmp_path / "out.json"
    extra = ["--eps", "0.05"] if command == "detect" else []
    assert invoke(command, model_file, "--data", data_file, "--json", out, *extra).exit_code == 0
    assert invoke("report", out).exit_code == 0
    page = (tmp_path / "out.html").read_text()
    assert ("not flagged" in page) == (command == "detect") and ("r(x)" in page) == (command == "radius")
    assert "contradicts itself" not in page


def test_options_of_the_other_kind_of_result_are_refused(invoke, tmp_path, result):
    (tmp_path / "run").mkdir()
    outcome = invoke("report", tmp_path / "run", "--html", tmp_path / "page.html")
    assert outcome.exit_code == 2 and "--html is for a result's file, but this is a run's folder" in outcome.output
    outcome = invoke("report", result, "--radii", 5)
    assert outcome.exit_code == 2 and "--radii is for a run's folder, but this is a result's file" in outcome.output


def test_errors_of_report_are_one_line(invoke, tmp_path, result, model_file):
    cases = [
        ([tmp_path / "absent.json"], "There is no file"),
        ([model_file], "is not a JSON document"),
        ([result, "--html", result], "needs another name"),
        ([result, "--html", model_file], "choose another name"),
        ([result, "--html", tmp_path / "no" / "page.html"], "its folder does not exist"),
        ([result, "--counterexamples", result], "cannot be made"),
    ]
    before = model_file.read_bytes(), result.read_bytes()
    for arguments, message in cases:
        run = invoke("report", *arguments)
        assert run.exit_code == 2 and message in run.stderr and "Traceback" not in run.output
    assert before == (model_file.read_bytes(), result.read_bytes())
