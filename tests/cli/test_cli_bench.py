"""`autodual bench`: outcomes, score, recorded answers, resuming, and processes that fail or hang."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from autodual_cli.jobs import benchmark_job, instance_processes
from autodual_cli.jobs.instance_processes import Answered, Plan, answers
from support.relu_file import write_relu

from autodual.errors import DataError
from autodual.properties.instance_list import Instance, load_instances, with_answers
from autodual.report import load_document
from autodual.report.benchmark_score import summarise_instances

BOX = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (<= -1 X_0 1))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """y = ReLU(x): at most 1 on the box, so that y >= 2 is unsat; y >= 0.5 is sat."""
    write_relu(tmp_path / "relu.onnx")
    (tmp_path / "above.vnnlib").write_text(BOX + "(assert (>= Y_0 2))")
    (tmp_path / "within.vnnlib").write_text(BOX + "(assert (>= Y_0 0.5))")
    return tmp_path


@pytest.fixture
def instances(folder: Path) -> Path:
    path = folder / "instances.csv"
    path.write_text("relu.onnx,above.vnnlib,300\nrelu.onnx,within.vnnlib,300\n")
    return path


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch):
    """Answers without processes: by property, the status; the calls are recorded."""
    calls: list[int] = []

    def make(statuses: dict[str, str]):
        def pretend(plan: Plan, pending):
            for number, instance in pending:
                calls.append(number)
                status = statuses[instance.goal]
                row = {"status": status, "method": "pretence", "parts": 50 if status == "unsat" else 0}
                yield Answered(number, status, 2.0 + number, 0.5, {"verdicts": [row]}, status)

        monkeypatch.setattr(benchmark_job, "answers", pretend)
        return calls

    return make


def test_real_processes_decide_and_their_files_are_written(invoke, instances, tmp_path) -> None:
    result = invoke("bench", instances, "--jobs", 2, "--json", tmp_path / "b.json", "--plot", tmp_path / "b.svg")
    assert result.exit_code == 0, result.output
    document = load_document(tmp_path / "b.json")
    assert [row["status"] for row in document["instances"]] == ["unsat", "sat"]
    assert document["summary"]["score"] == document["summary"]["possible"] == 20
    assert all(row["cpu_seconds"] > 0 for row in document["instances"])
    assert "100.00 %" in result.stdout
    assert (tmp_path / "b.svg").read_text().count("<svg") == 1
    assert invoke("report", tmp_path / "b.json").exit_code == 0
    page = (tmp_path / "b.html").read_text()
    assert "Benchmark" in page and "unknown network" not in page and "None" not in page


def test_a_process_that_fails_or_hangs_costs_its_own_instance(folder, monkeypatch) -> None:
    monkeypatch.setattr(instance_processes, "_GRACE", 0.0)
    plan = Plan(("--no-attack", "--bracket"), (), 2, 1, folder)  # refused by verify
    slow = Instance("relu.onnx", "above.vnnlib", 0.01, None, folder)
    found = {one.number: one for one in answers(plan, [(0, slow), (1, Instance("a", "b", None, None, folder))])}
    assert found[0].status == "timeout" and found[1].status == "error"
    assert found[0].cpu_seconds is not None and found[0].cpu_seconds < 5
    assert "--no-attack" in found[1].words
    assert not list(folder.glob("*.out"))


def test_a_wrong_answer_ends_with_a_failure_and_keeps_its_evidence(invoke, instances, pretended, tmp_path) -> None:
    pretended({"above.vnnlib": "unsat", "within.vnnlib": "unsat"})
    (tmp_path / "known.csv").write_text("x,./relu.onnx,./within.vnnlib.gz,0,violated,3\n")
    arguments = ("bench", instances, "--answers", tmp_path / "known.csv", "--json", tmp_path / "b.json")
    result = invoke(*arguments, "--csv", tmp_path / "b.csv")
    assert result.exit_code == 3
    assert "1 answer not as recorded" in result.stderr and "recorded as sat" in result.stdout
    (evidence,) = tmp_path.glob("contradiction-*.json")
    assert json.loads(evidence.read_text())["evidence"]["expected"] == "sat"
    document = load_document(tmp_path / "b.json")
    assert (document["summary"]["wrong"], document["summary"]["score"]) == (1, 10 - 150)
    assert document["summary"]["parts_per_second"] == 100.0
    with open(tmp_path / "b.csv", newline="") as file:
        assert [row["points"] for row in csv.DictReader(file)] == ["10", "-150"]
    assert invoke(*arguments, "--resume").exit_code == 3  # the failure stays


def test_a_run_goes_on_where_it_was_and_tries_errors_again(invoke, instances, pretended, tmp_path) -> None:
    calls = pretended({"above.vnnlib": "unsat", "within.vnnlib": "error"})
    arguments = ("bench", instances, "--json", tmp_path / "b.json", "--resume", "--quiet")
    assert invoke(*arguments).exit_code == 0
    pretended({"within.vnnlib": "sat"})
    assert invoke(*arguments).exit_code == 0
    assert calls == [0, 1, 1]
    assert load_document(tmp_path / "b.json")["summary"]["sat"] == 1
    other = invoke(*arguments, "--timeout", 3)
    assert other.exit_code == 2 and "--timeout" in other.stderr
    further = invoke(*arguments, "--", "--no-attack")
    assert further.exit_code == 2 and "without --; leave it out" in further.stderr, further.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["none.csv"], "none.csv"),
        (["{}", "--plot", "x.txt"], ".svg"),
        (["{}", "--", "--timeout", "3"], "--timeout"),
        (["{}", "--resume"], "--json"),
    ],
)
def test_wrong_usage_is_refused_before_the_work(arguments, word, invoke, instances) -> None:
    result = invoke("bench", *(argument.format(instances) for argument in arguments))
    assert result.exit_code == 2 and word in result.stderr, result.output


def test_columns_are_found_by_a_header_and_compressed_files_by_their_names(folder) -> None:
    (folder / "packed.vnnlib.gz").touch()
    path = folder / "headed.csv"
    path.write_text(
        "note,vnnlib,onnx,expected,timeout\nx,packed.vnnlib,relu.onnx,holds,\ny,above.vnnlib,relu.onnx,,7\n"
    )
    first, second = load_instances(path)
    assert (first.timeout, first.expected, second.timeout, second.expected) == (None, "unsat", 7.0, None)
    assert first.goal_path == folder / "packed.vnnlib.gz" and second.goal_path == folder / "above.vnnlib"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no instance"),
        ("a.onnx", "line 1"),
        ("a,b,soon", "soon"),
        ("a,b,-1", "-1"),
        ("a\0,b,1", "line 1"),
        ("a" * 200_000, "no CSV file"),
    ],
    ids=["empty", "one field", "no number", "negative", "null byte", "endless field"],
)
def test_lines_that_are_no_instances(text, word, tmp_path) -> None:
    (tmp_path / "i.csv").write_text(text)
    with pytest.raises(DataError, match=word):
        load_instances(tmp_path / "i.csv")


def test_two_answers_to_one_instance_are_refused(tmp_path) -> None:
    (tmp_path / "r.csv").write_text("a.onnx,p.vnnlib,sat\nb/a.onnx.gz,p.vnnlib,unsat\n")
    with pytest.raises(DataError, match="line 2"):
        with_answers([Instance("a.onnx", "p.vnnlib", None, None, tmp_path)], tmp_path / "r.csv")


def test_the_score_of_nothing_is_unknown_rather_than_full() -> None:
    assert summarise_instances([], 0.0)["share"] is None
