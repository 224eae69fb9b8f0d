"""`autodual radius`, `detect`, `architectures` and `inspect` end to end."""

from __future__ import annotations

import json

import numpy
import pytest
import torch
from torch import nn


def test_radii_are_certified_radii(invoke, tmp_path, model_file, data_file):
    out = tmp_path / "radii.json"
    result = invoke("radius", model_file, "--data", data_file, "--max-radius", "0.5", "--json", out)
    assert result.exit_code == 0, result.stderr
    document = json.loads(out.read_text())
    assert document["schema"] == "autodual.radius/1"
    radii = {row["index"]: row["radius"] for row in document["radii"]}
    assert radii[3] == 0 and max(radii.values()) > 0
    assert "median radius" in result.stdout and "perturbation set" in result.stdout
    index = max(radii, key=radii.__getitem__)
    check = tmp_path / "check.json"
    arguments = ["--skip", index, "--limit", 1, "--eps", repr(radii[index]), "--json", check]
    assert invoke("certify", model_file, "--data", data_file, *arguments).exit_code == 0
    assert json.loads(check.read_text())["certificates"][0]["status"] == "certified"


def test_detection_flags_what_is_not_certified(invoke, tmp_path, model_file, data_file):
    flags, certificates = tmp_path / "flags.json", tmp_path / "certificates.json"
    numpy.savez(tmp_path / "x.npz", x=numpy.load(data_file)["x"])
    data = ["--data", tmp_path / "x.npz", "--eps", "0.03"]
    result = invoke("detect", model_file, *data, "--json", flags, "--csv", tmp_path / "flags.csv")
    assert result.exit_code == 0, result.stderr
    assert "may be adversarial" in result.stdout
    invoke("certify", model_file, *data, "--json", certificates)
    flagged = [row["flagged"] for row in json.loads(flags.read_text())["detections"]]
    certified = [row["status"] == "certified" for row in json.loads(certificates.read_text())["certificates"]]
    assert flagged == [not proved for proved in certified]
    assert (tmp_path / "flags.csv").read_text().startswith("index,label,flagged\n")


def test_inspection_prints_graph_passes_and_plan(invoke, tmp_path, model_file):
    result = invoke("inspect", model_file, "--dot", tmp_path / "graph.dot")
    assert result.exit_code == 0, result.stderr
    for part in ("input 4, 3 outputs", "graph:", "relu", "passes: ", "dual plan:"):
        assert part in result.stdout
    assert (tmp_path / "graph.dot").read_text().startswith("digraph network {")
    assert "after " not in result.stdout


def test_inspection_prints_after_passes(invoke, model_file):
    names = invoke("inspect", model_file).stdout.split("passes: ")[1].splitlines()[0].split(", ")
    everything = invoke("inspect", model_file, "--print-after", "all").stdout
    assert [name for name in names if f"after {name}:" in everything] == names
    one = invoke("inspect", model_file, "--print-after", names[0]).stdout
    assert one.count("after ") == 1
    assert invoke("inspect", model_file, "--print-after", "fold_affine").stdout.count("after fold-affine:") == 1
    result = invoke("inspect", model_file, "--print-after", "nonsense")
    assert result.exit_code == 2 and f"the passes are {names[0]}" in result.stderr


def test_inspection_infers_or_asks_for_the_shape(invoke, tmp_path):
    torch.save(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)), tmp_path / "colour.pt")
    result = invoke("inspect", tmp_path / "colour.pt")
    assert result.exit_code == 2 and "give it with --input-shape" in result.stderr
    assert "input 3x4x4" in invoke("inspect", tmp_path / "colour.pt", "--input-shape", "3,4,4").stdout
    result = invoke("inspect", tmp_path / "colour.pt", "--input-shape", "3,5,5")
    assert result.exit_code == 2 and "does not accept inputs of shape (3, 5, 5)" in result.stderr
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(784, 2)), tmp_path / "flat.pt")
    assert "input 1x28x28" in invoke("inspect", tmp_path / "flat.pt").stdout
    network = nn.Linear(5, 2)
    torch.export.save(torch.export.export(network, (torch.rand(2, 5),)), tmp_path / "m.pt2")
    result = invoke("inspect", tmp_path / "m.pt2")
    assert result.exit_code == 0 and "input 5, 2 outputs" in result.stdout


@pytest.mark.parametrize("command", ["radius", "detect"])
def test_errors_are_one_line(invoke, tmp_path, command):
    (tmp_path / "text.pt").write_text("hello")
    result = invoke(command, tmp_path / "text.pt", *(["--eps", "0.1"] if command == "detect" else []))
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1


def test_architectures_stand_beside_the_sizes_that_the_thesis_prints(invoke):
    listed = invoke("architectures")
    assert listed.exit_code == 0, listed.stderr
    lines = {tuple(line.split()[:2]): line.split()[2:] for line in listed.stdout.splitlines()}
    for line in (("resnet", "3,32,32"), ("small", "1,28,28")):
        assert lines[line][:2] == lines[line][2:4]
    assert lines["large", "1,28,28"][:3] == ["48,064", "1,974,762", "28,064"]
    assert "misprint" in lines["large", "1,28,28"][4]
    assert lines["wide:16", "1,28,28"][2:] == ["–", "–"]
    one = invoke("architectures", "mlp:4", "--input-shape", "5", "--classes", "2")
    assert one.stdout.splitlines()[1].split() == ["mlp:4", "5", "8", "54", "–", "–"]
    assert "use mlp:K" in invoke("architectures", "small", "--input-shape", "5").stderr
