"""`autodual attack` end to end: results equal those of the library, for every kind of model; runs resume and replay."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from autodual_cli.jobs import attack_job
from torch import nn

import autodual
from autodual.attacks import Fgsm, Pgd, counterexamples, evaluate
from autodual.specs import ClassMargin

#: A network with a gradient but without a dual network: sorting has no dual rule.
SORTING = """
from torch import nn

class Sorting(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.last(self.first(x).cumsum(1).sort(1).values)
"""


def samples(data_file: Path) -> tuple[torch.Tensor, torch.Tensor]:
    with numpy.load(data_file) as data:
        return torch.from_numpy(data["x"]), torch.from_numpy(data["y"])


@pytest.fixture
def attack(invoke, tmp_path, model_file, data_file, monkeypatch) -> Callable[..., dict[str, Any]]:
    """Runs the command and returns its document; the slow checks for a broken evaluation are switched off."""
    monkeypatch.setattr(attack_job, "doubts", lambda *arguments: [])

    def run(*arguments: object, model: object = model_file, name: str = "out") -> dict[str, Any]:
        path = tmp_path / f"{name}.json"
        outcome = invoke("attack", model, "--data", data_file, "--json", path, *arguments)
        assert outcome.exit_code == 0, outcome.output
        return json.loads(path.read_text())

    return run


def test_the_command_reports_what_the_library_finds(attack, invoke, network, data_file, tmp_path, model_file):
    x, y = samples(data_file)
    table = tmp_path / "rows.csv"
    document = attack("--eps", 0.1, "--domain", "0,1", "--attack", "pgd:steps=9", "--attack", "fgsm", "--csv", table)
    found = evaluate(network, x, autodual.LinfBall(0.1, (0, 1)), y, {"pgd:steps=9": Pgd(steps=9), "fgsm": Fgsm()})
    rows, summary = document["samples"], document["summary"]
    assert [row["margin"] for row in rows] == pytest.approx([one.margin for one in found], abs=1e-6)
    assert [row["status"] == "broken" for row in rows] == [one.broken for one in found]
    assert rows[3]["status"] == "misclassified" and rows[3]["distance_l1"] == 0 and rows[3]["attack"] is None
    assert summary["robust_error"] == found.robust_error > summary["clean_error"] == 1 / 12
    assert {name: one["error"] for name, one in summary["attacks"].items()} == {
        name: found.error_under(name) for name in found.attacks
    }
    assert summary["warnings"] == [] and summary["members"] == {}
    with table.open() as lines:
        read = list(csv.DictReader(lines))
    assert [row["status"] for row in read] == [row["status"] for row in rows] and "broken_by" not in read[0]
    assert "evaluation mode and float32" in document["settings"]["run"]


def test_steps_restarts_and_the_seed_reach_the_attacks_that_have_them(attack):
    document = attack("--eps", 0.1, "--attack", 5, "--attack", "fgsm", "--restarts", 2, "--seed", 3)
    assert list(document["summary"]["attacks"]) == ["pgd:steps=5", "fgsm"]
    again = attack("--eps", 0.1, "--attack", "pgd:steps=5,restarts=2,seed=3", "--attack", "fgsm", name="again")
    assert [row["margin"] for row in document["samples"]] == [row["margin"] for row in again["samples"]]


def test_targets_and_other_properties(attack):
    document = attack("--eps", 0.4, "--targeted", 2, "--attack", 10)
    assert document["settings"]["specification"] == "not-class:2"
    for row in document["samples"]:
        assert (row["reached"] == 2) == (row["status"] == "broken") and row["label"] is not None
        assert (row["predicted"] == 2) == (row["status"] == "misclassified")
    document = attack("--eps", 0.4, "--spec", "deviation:0.05", "--attack", 5, name="deviation")
    assert document["summary"]["robust_error"] == 1


@pytest.mark.parametrize(
    "model",
    ["program of one batch", "program of any batch", "no dual rule", "onnx", "float64"],
)
def test_every_network_that_runs_is_attacked(attack, invoke, network, tmp_path, data_file, model):
    x, y = samples(data_file)
    options, path, tolerance = [], tmp_path / "given", 1e-5
    if model == "no dual rule":
        (tmp_path / "sorting.py").write_text(SORTING)
        namespace: dict[str, Any] = {}
        exec(SORTING, namespace)
        torch.manual_seed(1)
        network = namespace["Sorting"]().eval()
        torch.save(network.state_dict(), path)
        options = ["--arch", f"{tmp_path}/sorting.py:Sorting"]
        refused = invoke("certify", path, *options, "--data", data_file, "--eps", 0.1)
        assert refused.exit_code == 2 and "sort" in refused.stderr
    elif model == "onnx":
        pytest.importorskip("onnx")
        path = tmp_path / "given.onnx"
        torch.onnx.export(network, (x[:2],), str(path), dynamo=False, dynamic_axes={"input": {0: "N"}},
                          input_names=["input"])  # fmt: skip
    elif model == "float64":
        network = network.double()
        x = x.double()
        torch.save(network, path)
    else:
        path, free = path.with_suffix(".pt2"), model == "program of any batch"
        shapes = ({0: torch.export.Dim.AUTO},) if free else None
        torch.export.save(torch.export.export(network, (x[:5],), dynamic_shapes=shapes), path)
    scaled = ["--mean", 0.1, "--std", 0.9]
    document = attack("--eps", 0.2, "--attack", 5, *options, *scaled, model=path)
    found = evaluate(lambda z: network((z - 0.1) / 0.9), x, autodual.LinfBall(0.2), y, Pgd(steps=5))
    margins = [row["margin"] for row in document["samples"]]
    assert margins == pytest.approx([one.margin for one in found], abs=tolerance)
    assert document["settings"]["arithmetic"] == ("float64" if model == "float64" else "float32")
    words = {"onnx": "onnxruntime", "program of one batch": "5 samples at a time"}
    assert words.get(model, "") in document["settings"]["run"]


def test_unions_say_which_member_breaks(attack):
    document = attack("--norm", "union", "--members", "linf:0.1,l1:0.05", "--eps", 1, "--attack", 5)
    first, second = document["summary"]["members"].values()
    assert first["broken"] > second["broken"]
    broken = [row for row in document["samples"] if row["status"] == "broken"]
    assert broken and all(row["member"] in row["broken_in"] for row in broken)


def test_radii_grow_until_a_sample_breaks(attack, invoke, model_file, data_file):
    grown = "--eps", 0.2, "--smallest-eps", 0.05, "--growth", 2, "--attack", 5
    document, whole = attack(*grown), attack("--eps", 0.2, "--attack", 5, name="whole")
    assert [one["radius"] for one in document["summary"]["curve"]] == [0.05, 0.1, 0.2]
    radii = [row["radius"] for row in document["samples"]]
    for one in document["summary"]["curve"]:
        left = [radius is None or radius > one["radius"] for radius in radii]
        wrong = [row["status"] == "misclassified" for row in document["samples"]]
        resist = sum(stays and not lost for stays, lost in zip(left, wrong))
        assert one["resist"] == pytest.approx(resist / len(radii))
    assert document["summary"]["robust_error"] >= whole["summary"]["robust_error"] > 0
    assert all("radius" not in row for row in whole["samples"]) and "curve" not in whole["summary"]
    for words in (("--smallest-eps", 0.3), ("--smallest-eps", 0)):
        refused = invoke("attack", model_file, "--data", data_file, "--eps", 0.2, *words)
        assert refused.exit_code == 2 and "a radius above 0 and at most --eps" in refused.stderr


def test_points_are_saved_resumed_and_refute_the_property(attack, invoke, network, data_file, tmp_path, model_file):
    points, path = tmp_path / "points.npz", tmp_path / "out.json"
    given = ["--eps", 0.15, "--attack", "apgd:steps=5", "--batch-size", 3, "--save-points", points]
    attack(*given, "--limit", 6)
    whole = attack(*given, "--resume")
    once = attack(*given[:-1], tmp_path / "once.npz", name="once")
    assert whole["samples"] == once["samples"] and "counterexample" not in whole["samples"][0]
    broken = [row["index"] for row in whole["samples"] if row["status"] == "broken"]
    with numpy.load(points) as held, numpy.load(tmp_path / "once.npz") as other:
        assert held["index"].tolist() == broken and len(broken) > 2
        assert all(numpy.array_equal(held[name], other[name]) for name in held)
        found, index = torch.from_numpy(held["point"]), torch.from_numpy(held["index"])
        reached = held["reached"].tolist()
    x, y = samples(data_file)
    region, goal = autodual.LinfBall(0.15).at(x[index]), ClassMargin(y[index])
    assert counterexamples(network, region, goal, found).all()
    assert network(found).argmax(1).tolist() == reached
    points.unlink()
    lost = invoke("attack", model_file, "--data", data_file, "--json", path, *given, "--resume")
    assert lost.exit_code == 2 and "points.npz' cannot be read" in lost.stderr


def test_a_resumed_run_must_attack_the_same_samples_together(attack, invoke, model_file, data_file, tmp_path):
    attack("--eps", 0.1, "--attack", 2, "--batch-size", 4, "--limit", 4)
    fixed = ("attack", model_file, "--data", data_file, "--json", tmp_path / "out.json", "--eps", 0.1, "--resume")
    for more, words in (
        (("--attack", 2, "--batch-size", 5), "with --batch-size 4, not --batch-size 5; give --batch-size 4"),
        (("--attack", 3, "--batch-size", 4), "with --attack 2, not --attack 3; give --attack 2"),
    ):
        outcome = invoke(*fixed, *more)
        assert outcome.exit_code == 2 and words in outcome.stderr


def test_single_rows_are_replayed_in_the_batches_of_the_recorded_run(attack, invoke, tmp_path):
    points, path = tmp_path / "points.npz", tmp_path / "out.json"
    attack("--eps", 0.15, "--attack", "apgd:steps=4,restarts=2", "--attack", "square:queries=5", "--batch-size", 5,
           "--skip", 1, "--save-points", points)  # fmt: skip
    outcome = invoke("replay", path, "--limit", 2)
    assert outcome.exit_code == 0 and "rows that agree       2" in outcome.output, outcome.output
    assert invoke("replay", path).exit_code == 0
    points.rename(tmp_path / "elsewhere.npz")
    assert "which is not there; --points says where" in invoke("replay", path).output
    assert invoke("replay", path, "--points", tmp_path / "elsewhere.npz").exit_code == 0


def test_forged_results_are_not_reproduced(attack, invoke, tmp_path):
    points, path = tmp_path / "points.npz", tmp_path / "out.json"
    document = attack("--eps", 0.15, "--attack", 5, "--save-points", points)
    broken = next(row for row in document["samples"] if row["status"] == "broken")
    for key, value in (
        ("margin", broken["margin"] - 0.01),
        ("distance_l2", 0.01),
        ("status", "resists"),
        ("broken_by", []),
        ("reached", 7),
    ):
        honest = broken[key]
        broken[key] = value
        path.write_text(json.dumps(document))
        broken[key] = honest
        outcome = invoke("replay", path)
        assert outcome.exit_code == 1, (key, outcome.output)
    path.write_text(json.dumps(document))
    with numpy.load(points) as held:
        numpy.savez(points, **{**held, "point": held["original"]})
    outcome = invoke("replay", path)
    assert outcome.exit_code == 1 and "recorded refutes the property, now does not" in outcome.output


def test_the_page_reports_the_errors_and_shows_the_counterexamples(invoke, tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(25, 3))
    x = torch.rand(6, 1, 5, 5)
    torch.save(network, tmp_path / "images.pt")
    numpy.savez(tmp_path / "images.npz", x=x.numpy(), y=network(x).argmax(1).numpy())
    path, points = tmp_path / "out.json", tmp_path / "points.npz"
    arguments = ["attack", tmp_path / "images.pt", "--data", tmp_path / "images.npz", "--attack", 5, "--attack", "fgsm"]
    outcome = invoke(*arguments, "--eps", 0.2, "--json", path, "--save-points", points)
    assert outcome.exit_code == 0, outcome.output
    document = json.loads(path.read_text())
    broken = [row for row in document["samples"] if row["status"] == "broken"]
    assert broken
    outcome = invoke("report", path, "--counterexamples", tmp_path / "points")
    assert outcome.exit_code == 0 and f"and {len(broken)} counterexample(s)" in outcome.output, outcome.output
    page = path.with_suffix(".html").read_text()
    for words in ("Attack of images.pt", "Errors under each attack alone", "pgd:steps=5", "network run as",
                  f"perturbed: class {broken[0]['reached']}", "margin at the worst point"):  # fmt: skip
        assert words in page, words
    assert page.count("data:image/png") == 3 * len(broken)
    assert "contradicts itself" not in page and "certified" not in page.split("All settings")[0].split("</style>")[1]
    broken[0]["margin"] = 0.5
    path.write_text(json.dumps(document))
    assert invoke("report", path, "--overwrite").exit_code == 0
    assert "it is called broken, but its margin is not negative" in path.with_suffix(".html").read_text()
    points.unlink()
    assert "without the points" in invoke("report", path, "--overwrite").output


def test_label_maps_and_unlabelled_data_are_attacked(invoke, tmp_path):
    torch.manual_seed(0)
    torch.save(nn.Conv1d(1, 3, 1), tmp_path / "pixels.pt")
    numpy.savez(tmp_path / "x.npz", x=numpy.random.default_rng(0).random((4, 1, 6), numpy.float32))
    path = tmp_path / "out.json"
    outcome = invoke("attack", tmp_path / "pixels.pt", "--data", tmp_path / "x.npz", "--eps", 0.3, "--attack", 4,
                     "--json", path)  # fmt: skip
    assert outcome.exit_code == 0 and "the predicted class stands in" in outcome.output, outcome.output
    assert {row["label"] for row in json.loads(path.read_text())["samples"]} == {None}
    assert invoke("replay", path).exit_code == 0 and invoke("report", path).exit_code == 0


def test_too_few_resisting_samples_give_exit_status_1(invoke, model_file, data_file):
    fixed = ("attack", model_file, "--data", data_file, "--eps", 0.3, "--attack", 3, "--quiet", "--require-robust")
    outcome = invoke(*fixed, 90)
    assert outcome.exit_code == 1 and "of the samples resist, 90 % were required." in outcome.stderr
    assert invoke(*fixed, 0).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--eps", 0.1, "--attack", "nothing"), "'nothing' is no attack that is registered"),
        (("--eps", 0.1, "--attack", "pgd:steps=0"), "an attack needs steps and restarts"),
        (("--eps", 0.1, "--attack", "pgd", "--attack", "pgd"), "--attack pgd is given twice"),
        (("--eps", 0.1, "--attack", "fgsm", "--restarts", 2), "none of the attacks has restarts"),
        (("--eps", 0.1, "--targeted", 3), "there is no class 3; the network has the classes 0 to 2"),
        (("--eps", 0.1, "--targeted", 1, "--spec", "y0 > y1"), "Give either --spec or --targeted"),
        (("--eps", 0.1, "--targeted", 1, "--attack", "apgd"), "use the objective 'margin'"),
        (("--eps", 0.1, "--box", "a,b"), "Give either --eps or --box."),
        (("--eps", 0.1, "--seed", "9" * 40, "--attack", "apgd"), "seed must be a whole number of 64 bits"),
        (("--eps", 0.1, "--attack", "pgd:steps=many"), "needs a whole number for its steps, not 'many'"),
        ((), "Give either --eps or --box."),
        (("--eps", 0.1, "--save-points", "missing/points.npz"), "its folder does not exist"),
    ],
)
def test_bad_usage_is_refused_in_one_sentence(invoke, model_file, data_file, arguments, words):
    outcome = invoke("attack", model_file, "--data", data_file, *arguments)
    assert outcome.exit_code == 2 and words in outcome.stderr, outcome.output
    assert "Traceback" not in outcome.stderr and outcome.stderr.strip().splitlines()[-1].startswith("Error: ")
