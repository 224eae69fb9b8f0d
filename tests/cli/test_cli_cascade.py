"""`autodual certify --cascade`: the library's results for a cascade, in tables, files, pages and replays."""

from __future__ import annotations

import csv
import json

import numpy
import pytest
import torch
from torch import nn

import autodual
from autodual.report.cascades import GUARANTEE


@pytest.fixture
def cascade() -> list[nn.Sequential]:
    """Two stages that agree on most samples; the second has larger margins for class 0."""
    torch.manual_seed(0)
    first = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    second = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        second[2].bias[0] += 0.1
    return [first, second]


@pytest.fixture
def cascade_file(tmp_path, cascade):
    torch.save(nn.ModuleList(cascade), tmp_path / "cascade.pt")
    return tmp_path / "cascade.pt"


@pytest.fixture
def data_file(tmp_path, cascade):
    """Sixty samples, labelled with the first stage's predictions; only the label of sample 3 is wrong."""
    x = torch.rand(60, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        y = cascade[0](x).argmax(1)
    y[3] = (y[3] + 1) % 3
    numpy.savez(tmp_path / "data.npz", x=x.numpy(), y=y.numpy())
    return tmp_path / "data.npz"


EPS = 0.06


@pytest.fixture
def certify(invoke, cascade_file, data_file):
    return lambda *arguments: invoke("certify", cascade_file, "--data", data_file, "--cascade", *arguments)


def test_deployed_requires_margins_above_the_execution_error_of_each_stage(certify, invoke, tmp_path):
    """The gate between the stages is executed in float32 too; one line states the error bound, and replay checks it."""
    plain = certify("--eps", EPS, "--json", tmp_path / "plain.json")
    assert "of the network in real arithmetic; float32 execution may differ by up to" in plain.stdout
    found = certify("--eps", EPS, "--deployed", "--json", tmp_path / "deployed.json")
    assert found.exit_code == 0 and "and of any float32 execution (sums in any order)" in found.stdout
    document = json.loads((tmp_path / "deployed.json").read_text())
    assert document["settings"]["deployed"] is True
    for row in document["certificates"]:
        assert row["execution_error"] > 0 and row["execution_arithmetic"] == "float32"
        assert row["stage"] is None or row["margin"] > row["execution_error"]
    assert invoke("replay", tmp_path / "deployed.json").exit_code == 0
    assert invoke("report", tmp_path / "deployed.json").exit_code == 0
    assert "which may differ by up to" in (tmp_path / "deployed.html").read_text(encoding="utf-8")


def test_rows_are_what_the_library_says(certify, tmp_path, cascade, data_file):
    outcome = certify("--eps", EPS, "--json", tmp_path / "o.json", "--csv", tmp_path / "o.csv")
    assert outcome.exit_code == 0, outcome.output
    document = json.loads((tmp_path / "o.json").read_text())
    assert document["schema"] == "autodual.cascade/1" and document["settings"]["stages"] == 2
    arrays = numpy.load(data_file)
    x, y = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])
    stages = autodual.Cascade([autodual.compile_dual(stage, x[:1]) for stage in cascade])
    expected = autodual.certify_cascade(stages, x, autodual.LinfBall(EPS), y)
    rows = document["certificates"]
    for row, one in zip(rows, expected, strict=True):
        keys = ("label", "predicted", "guess", "stage", "disagreement")
        assert [row[key] for key in keys] == [getattr(one, key) for key in keys]
        assert row["status"] == one.status.value and len(row["visits"]) == len(one.certificates)
        assert (row["margin"] is None) == one.abstains and (row["margins"] == []) == one.abstains
    assert {row["stage"] for row in rows} == {None, 1, 2} and {row["disagreement"] for row in rows} == {None, 2}
    summary = document["summary"]
    certified = sum(one.certified for one in expected)
    assert summary["certified"] == certified and summary["certified_error"] == 1 - certified / 60
    assert summary["clean_error"] == 1 / 60 and sum(summary["by_stage"].values()) == 60 - summary["unknown"]
    assert summary["certified"] + summary["unknown"] + summary["misclassified"] == 60
    with (tmp_path / "o.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["stage"] for line in lines] == ["" if row["stage"] is None else str(row["stage"]) for row in rows]
    assert "predicted" in lines[0] and "label" in lines[0]


def test_the_table_states_the_guarantee(certify, tmp_path):
    outcome = certify("--eps", EPS, "--domain", "0,1", "--norm", "l2")
    assert outcome.exit_code == 0, outcome.output
    assert GUARANTEE in outcome.stdout and "clipped to [0, 1]" in outcome.stdout
    assert "by stage 1" in outcome.stdout and "because stages disagree" in outcome.stdout
    assert certify("--eps", EPS, "--quiet").output == ""


def test_without_labels_every_certified_sample_counts(certify, invoke, tmp_path, cascade_file, data_file):
    numpy.savez(tmp_path / "unlabelled.npz", x=numpy.load(data_file)["x"])
    arguments = ["--data", tmp_path / "unlabelled.npz", "--cascade", "--eps", EPS, "--json", tmp_path / "o.json"]
    outcome = invoke("certify", cascade_file, *arguments)
    assert outcome.exit_code == 0 and "no labels" in outcome.stdout
    summary = json.loads((tmp_path / "o.json").read_text())["summary"]
    assert summary["clean_error"] is None and summary["misclassified"] == 0 and summary["certified"] > 0


def test_batches_and_resumption_change_no_row(certify, tmp_path):
    certify("--eps", EPS, "--batch-size", 60, "--json", tmp_path / "a.json")
    certify("--eps", EPS, "--limit", 25, "--batch-size", 7, "--json", tmp_path / "b.json")
    resumed = certify("--eps", EPS, "--batch-size", 9, "--json", tmp_path / "b.json", "--resume")
    assert resumed.exit_code == 0, resumed.output
    first, second = (json.loads((tmp_path / f"{name}.json").read_text())["certificates"] for name in "ab")
    for row, other in zip(first, second, strict=True):
        assert all(row[key] == other[key] for key in ("index", "predicted", "status", "stage", "disagreement"))


def test_a_required_result_decides_the_exit_status(certify):
    assert certify("--eps", 0, "--require-certified", 90).exit_code == 0
    short = certify("--eps", 1, "--require-certified", 90)
    assert short.exit_code == 1 and "90 % were required" in short.stderr


def test_state_dicts_with_an_architecture(invoke, tmp_path, cascade, data_file):
    torch.save({"state_dict": [stage.state_dict() for stage in cascade]}, tmp_path / "states.pth")
    (tmp_path / "arch.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))\n"
    )
    arguments = ["--data", data_file, "--eps", EPS, "--arch", f"{tmp_path}/arch.py:build"]
    outcome = invoke("certify", tmp_path / "states.pth", *arguments, "--cascade", "--mean", "0.1", "--std", "0.9")
    assert outcome.exit_code == 0, outcome.output
    alone = invoke("certify", tmp_path / "states.pth", *arguments)
    assert alone.exit_code == 2 and "--cascade" in alone.stderr


def test_a_run_is_replayed_and_changes_are_found(certify, invoke, tmp_path):
    path = tmp_path / "o.json"
    certify("--eps", EPS, "--domain", "0,1", "--json", path)
    outcome = invoke("replay", path)
    assert outcome.exit_code == 0, outcome.output
    assert "rows compared         60" in outcome.stdout and "rows that differ      0" in outcome.stdout
    document = json.loads(path.read_text())
    rows = document["certificates"]
    decided = [row for row in rows if row["stage"] == 2]
    decided[0]["stage"], decided[1]["margin"] = 1, decided[1]["margin"] + 0.1
    path.write_text(json.dumps(document))
    outcome = invoke("replay", path)
    assert (
        outcome.exit_code == 1 and "recorded 1, now 2" in outcome.stdout and "rows that differ      2" in outcome.stdout
    )


def test_the_page_claims_no_more_than_the_guarantee(certify, invoke, tmp_path):
    certify("--eps", EPS, "--json", tmp_path / "o.json")
    assert invoke("report", tmp_path / "o.json").exit_code == 0
    page = (tmp_path / "o.html").read_text()
    assert "gets another label from the same cascade over the same set. It may get none." in page
    assert GUARANTEE in page and "proved for every point of the set" not in page
    assert "contradicts itself" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--box", "a.npy,b.npy"], "does not go with --norm box"),
        (["--eps", "0.1", "--spec", "y0 > 0"], "does not go with --spec"),
        (["--eps", "0.1", "--attack", "5"], "give --bracket with --attack"),
        (["--eps", "0.1", "--projection", "50"], "does not go with --projection"),
        ([], "Give either --eps or --box"),
        (["--eps", "5", "--domain", "0.2,1"], "lies outside the domain"),
    ],
)
def test_bad_usage_is_one_line_and_exit_status_2(certify, arguments, message):
    outcome = certify(*arguments)
    assert outcome.exit_code == 2, outcome.output
    error = outcome.stderr[outcome.stderr.index("Error: ") :].replace("\n", " ")
    assert message in error and "Traceback" not in outcome.output


def test_files_without_a_cascade_and_stages_that_do_not_fit_are_refused(invoke, tmp_path, model_file, data_file):
    arguments = ["--data", data_file, "--eps", EPS, "--cascade"]
    single = invoke("certify", model_file, *arguments)
    assert single.exit_code == 2 and "holds no list of networks" in single.stderr
    for other, message in ((nn.Linear(5, 3), "does not accept inputs"), (nn.Linear(4, 4), "[3, 4]")):
        torch.save([nn.Linear(4, 3), other], tmp_path / "odd.pt")
        odd = invoke("certify", tmp_path / "odd.pt", *arguments)
        assert odd.exit_code == 2 and message in odd.stderr, odd.output


def test_a_cascade_is_attacked_for_a_bracket(certify, invoke, tmp_path):
    """The cascade itself decides at the points found; replays run it on them again, and pages say what they enclose."""
    path = tmp_path / "bracket.json"
    found = certify("--eps", EPS, "--attack", 5, "--bracket", "--json", path)
    assert found.exit_code == 0, found.output
    document = json.loads(path.read_text())
    rows, summary = document["certificates"], document["summary"]
    unbroken = sum(not row["attacked"] for row in rows)
    assert summary["bracket"] == {"certified": summary["certified"], "unbroken": unbroken}
    assert summary["certified"] <= unbroken < len(rows)
    assert f"{summary['certified']} (certified) to {unbroken} (hold out against the attack)" in found.stdout
    again = invoke("replay", path)
    assert again.exit_code == 0, again.output
    assert invoke("report", path).exit_code == 0
    assert f"at most {unbroken} (not broken by the attack)" in path.with_suffix(".html").read_text().replace("\n", " ")
    row = next(row for row in rows if row["status"] == "certified")
    row.update(attacked=True, counterexample=[0.5] * 4)
    path.write_text(json.dumps(document))
    assert invoke("replay", path).exit_code == 1
