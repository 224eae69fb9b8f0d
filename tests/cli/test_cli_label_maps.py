"""Networks with outputs of any shape from the command line: label maps, sequences, single outputs."""

from __future__ import annotations

import csv
import json

import numpy
import pytest
import torch
from torch import nn

import autodual


@pytest.fixture(scope="module")
def pixels(tmp_path_factory):
    """A per-pixel classifier of 6 × 5 pixels, and five samples; the labels of sample 2 are all ignored (-100)."""
    folder = tmp_path_factory.mktemp("pixels")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 1)).eval()
    x = torch.rand(5, 1, 6, 5)
    labels = network(x).argmax(1)
    labels[0, 0, 0] = (labels[0, 0, 0] + 1) % 4
    labels[1, 2], labels[2] = -100, -100
    torch.save(network, folder / "pixels.pt")
    numpy.savez(folder / "pixels.npz", x=x.numpy(), y=labels.numpy())
    return folder, network, x, labels


def test_label_maps_end_to_end(invoke, pixels, tmp_path):
    folder, network, x, labels = pixels
    out, table = tmp_path / "out.json", tmp_path / "out.csv"
    arguments = ("certify", folder / "pixels.pt", "--data", folder / "pixels.npz", "--eps", "0.004")
    result = invoke(*arguments, "--json", out, "--csv", table, "--limit", 3)
    assert result.exit_code == 0, result.stderr
    result = invoke(*arguments, "--json", out, "--csv", table, "--resume")
    assert result.exit_code == 0, result.stderr
    document = json.loads(out.read_text())
    expected = autodual.certify(autodual.compile_dual(network, x), x, autodual.LinfBall(0.004), labels)
    found = [one.positions for one in expected]
    rows = document["certificates"]
    assert [row["status"] for row in rows] == [str(one.status) for one in expected]
    assert [row["positions"] for row in rows] == [30, 25, 0, 30, 30]
    assert [row["positions_certified"] for row in rows] == [one.certified_count for one in found]
    assert [row["positions_correct"] for row in rows] == [29, 25, 0, 30, 30]
    for row, one in zip(rows, found, strict=True):
        shown = torch.tensor([-1 if known is None else int(known) for known in row["label_map"]["certified"]])
        assert torch.equal(shown.reshape(row["label_map"]["shape"]) == 1, one.certified)
        assert torch.equal(shown.reshape(row["label_map"]["shape"]) == -1, ~one.counted)
    certified, summary = sum(one.certified_count for one in found), document["summary"]
    assert 0 < certified < 115
    assert summary["positions"] == {
        "counted": 115,
        "certified": certified,
        "correct": 114,
        "clean_error": 1 / 115,
        "certified_error": (115 - certified) / 115,
    }
    assert summary["clean_error"] == 1 / 5 and summary["certified"] == sum(one.certified for one in expected)
    assert "positions" in result.stdout and f"{certified}; a sample is certified where all" in result.stdout
    lines = list(csv.DictReader(table.open()))
    assert [line["positions_certified"] for line in lines] == [str(one.certified_count) for one in found]
    page = tmp_path / "out.html"
    assert invoke("report", out).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert f"Of the 115 positions (pixels or steps) of these x, {certified} are certified" in text
    assert "disagree" not in text and "at every position" in text
    result = invoke("replay", out)
    assert result.exit_code == 0 and "rows that agree       5" in result.stdout


def test_a_report_does_not_repeat_counts_that_the_map_contradicts(invoke, pixels, tmp_path):
    folder, *_ = pixels
    out = tmp_path / "out.json"
    invoke("certify", folder / "pixels.pt", "--data", folder / "pixels.npz", "--eps", "0.004", "--json", out)
    document = json.loads(out.read_text())
    document["certificates"][0]["positions_certified"] += 1
    out.write_text(json.dumps(document))
    invoke("report", out)
    assert "its count of certified positions is not that of its label map" in (tmp_path / "out.html").read_text("utf-8")
    document["certificates"][0]["positions"] = "30"
    out.write_text(json.dumps(document))
    assert "is not a document of the schema" in invoke("report", out).stderr


def test_without_labels_the_predicted_classes_stand_in(invoke, pixels, tmp_path):
    folder, _, x, _ = pixels
    numpy.savez(tmp_path / "x.npz", x=x.numpy())
    result = invoke("certify", folder / "pixels.pt", "--data", tmp_path / "x.npz", "--eps", "0.0001")
    assert result.exit_code == 0 and "no labels: the predicted class stands in" in result.stdout
    assert "not known" in result.stdout.split("their clean error")[1].splitlines()[0]


@pytest.mark.parametrize("command", [("radius", "--max-radius", "0.01"), ("detect", "--eps", "0.001")])
def test_radii_and_flags_of_label_maps(invoke, pixels, command, tmp_path):
    folder, *_ = pixels
    name, *options = command
    out = tmp_path / "out.json"
    result = invoke(
        name, folder / "pixels.pt", "--data", folder / "pixels.npz", *options, "--limit", 2, "--json", out, "--csv",
        tmp_path / "out.csv",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert invoke("replay", out).exit_code == 0
    assert invoke("report", out).exit_code == 0


def test_labels_that_do_not_fit_are_named(invoke, pixels, tmp_path):
    folder, _, x, labels = pixels
    cases = [
        (labels[:, 0, 0], r"labels of '.*' have the shape (5,), but outputs of the shape (4, 6, 5) with"),
        (labels.transpose(1, 2), "need (5, 6, 5); --class-axis says which axis"),
        (labels.clamp(min=0) + 4, "The label of sample 0"),
        (labels - 1, "is -1; labels start at 0, and -100 marks what is to be ignored"),
        (labels[:4], "expected (5,), or label maps (5, ...)"),
    ]
    for number, (wrong, message) in enumerate(cases):
        file = tmp_path / f"{number}.npz"
        numpy.savez(file, x=x.numpy(), y=wrong.numpy())
        result = invoke("certify", folder / "pixels.pt", "--data", file, "--eps", "0.01")
        assert result.exit_code == 2 and message.split("'.*'")[-1] in result.stderr


def test_the_classes_of_a_sequence_lie_on_the_last_axis(invoke, tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 4)).eval()
    x = torch.rand(3, 5, 3)
    torch.save(network, tmp_path / "steps.pt")
    numpy.savez(tmp_path / "steps.npz", x=x.numpy(), y=network(x).argmax(-1).numpy())
    arguments = ("certify", tmp_path / "steps.pt", "--data", tmp_path / "steps.npz", "--eps", "0.001")
    result = invoke(*arguments)
    assert result.exit_code == 2 and "--class-axis says which axis holds the classes" in result.stderr
    result = invoke(*arguments, "--class-axis", -1, "--json", tmp_path / "out.json")
    assert result.exit_code == 0 and "positions" in result.stdout, result.stderr
    assert invoke("replay", tmp_path / "out.json").exit_code == 0
    result = invoke(*arguments, "--class-axis", 3)
    assert result.exit_code == 2 and "--class-axis 3 is no axis of the outputs, which have 3" in result.stderr
    assert "output 5x4" in invoke("inspect", tmp_path / "steps.pt", "--input-shape", "5,3").stdout


@pytest.mark.parametrize("last", [nn.Identity(), nn.Flatten(0)])
def test_networks_with_a_single_output(invoke, tmp_path, last):
    torch.manual_seed(0)
    torch.save(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1), last).eval(), tmp_path / "one.pt")
    numpy.savez(tmp_path / "x.npz", x=numpy.random.default_rng(0).random((3, 4), numpy.float32), y=[5, 6, 7])
    model, data = tmp_path / "one.pt", ("--data", tmp_path / "x.npz")
    for command in (("certify", "--eps", "0.1"), ("radius",), ("detect", "--eps", "0.1")):
        result = invoke(command[0], model, *data, *command[1:])
        assert result.exit_code == 2
        assert "single output, so there are no classes" in result.stderr and "--spec 'y0 > 0'" in result.stderr
    result = invoke("certify", model, *data, "--eps", "0.1", "--spec", "y0 < 9 and y0 > -9", "--attack", 2)
    assert result.exit_code == 0 and "certified error   0.00 %" in result.stdout, result.stderr
    shown = invoke("inspect", model).stdout
    assert ("1 outputs" if isinstance(last, nn.Identity) else "output one number") in shown


def test_training_refuses_label_maps(invoke, pixels, tmp_path):
    folder, *_ = pixels
    result = invoke("train", "--data", folder / "pixels.npz", "--output", tmp_path / "run", "--eps", "0.1")
    assert result.exit_code == 2 and "has label maps" in result.stderr and not (tmp_path / "run").exists()
