"""`autodual certify` end to end on small networks: numbers, files, units and exit statuses."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

import autodual
from autodual.perturbations import LinfBall


def certify(invoke, model_file, data_file, *arguments):
    return invoke("certify", model_file, "--data", data_file, *arguments)


def document_of(path):
    return json.loads(path.read_text())


def test_the_command_reports_what_the_library_certifies(invoke, tmp_path, model_file, data_file, network):
    out = tmp_path / "out.json"
    result = certify(invoke, model_file, data_file, "--eps", "0.02", "--json", out)
    assert result.exit_code == 0, result.stderr
    document = document_of(out)
    arrays = numpy.load(data_file)
    x, y = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])
    dual = autodual.compile_dual(network, example_input=x[:1])
    expected = autodual.certify(dual, x, LinfBall(0.02), labels=y)
    rows = document["certificates"]
    assert [row["index"] for row in rows] == list(range(12))
    assert [row["status"] for row in rows] == [certificate.status.value for certificate in expected]
    assert rows[3]["status"] == "misclassified"
    numpy.testing.assert_allclose(
        [row["margin"] for row in rows], [certificate.margin for certificate in expected], rtol=1e-4, atol=1e-5
    )
    summary = document["summary"]
    assert document["schema"] == "autodual.certify/1"
    assert summary["count"] == 12 and summary["clean_error"] == 1 / 12
    assert summary["certified_error"] == 1 - sum(row["status"] == "certified" for row in rows) / 12


def test_every_output_names_set_clipping_and_units(invoke, tmp_path, model_file, data_file):
    plain = certify(invoke, model_file, data_file, "--eps", "2/255", "--json", tmp_path / "a.json").stdout
    clipped = certify(invoke, model_file, data_file, "--eps", "0.1", "--norm", "l2", "--domain", "0,1").stdout
    assert "perturbation set" in plain and "units" in plain
    assert "clipped" in plain and "clipped" in clipped
    assert "[0, 1]" in clipped and "l2" in clipped
    settings = document_of(tmp_path / "a.json")["settings"]
    assert settings["eps"] == 2 / 255 and settings["norm"] == "linf" and settings["domain"] is None
    assert "\x1b" not in plain


def test_normalisation_keeps_everything_in_raw_units(invoke, tmp_path, data_file, network):
    """A network fed with (x - mean) / std is certified like the one with the normalisation folded into its weights."""
    mean, std = torch.tensor([0.5, 0.1, 0.2, 0.3]), torch.tensor([0.5, 2.0, 0.25, 1.0])
    shifted = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), network[2])
    with torch.no_grad():
        shifted[0].weight.copy_(network[0].weight * std)
        shifted[0].bias.copy_(network[0].bias + network[0].weight @ mean)
    torch.save(shifted, tmp_path / "normalised.pt")
    torch.save(network, tmp_path / "raw.pt")
    lists = [",".join(map(str, values.tolist())) for values in (mean, std)]
    margins = []
    for name, extra in (("normalised.pt", ["--mean", lists[0], "--std", lists[1]]), ("raw.pt", [])):
        out = tmp_path / f"{name}.json"
        arguments = ["--eps", "0.05", "--domain", "0,1", "--dtype", "float64", "--json", out, *extra]
        result = certify(invoke, tmp_path / name, data_file, *arguments)
        assert result.exit_code == 0, result.stderr
        margins.append([row["margin"] for row in document_of(out)["certificates"]])
        assert ("normalisation (x - 0.5,0.1,0.2,0.3) / 0.5,2,0.25,1" in result.stdout) == bool(extra)
    numpy.testing.assert_allclose(margins[0], margins[1], rtol=1e-6, atol=1e-6)


def test_without_labels_the_prediction_stands_in(invoke, tmp_path, model_file, data_file):
    numpy.savez(tmp_path / "unlabelled.npz", x=numpy.load(data_file)["x"])
    out = tmp_path / "out.json"
    result = certify(invoke, model_file, tmp_path / "unlabelled.npz", "--eps", "0.001", "--json", out)
    document = document_of(out)
    assert document["summary"]["clean_error"] is None
    assert all(row["label"] is None and row["predicted"] is not None for row in document["certificates"])
    assert "the predicted class stands in" in result.stdout


def test_limits_skips_and_batches_choose_samples_and_change_nothing_else(invoke, tmp_path, model_file, data_file):
    runs = []
    for name, batch in (("a", 1), ("b", 5)):
        out = tmp_path / f"{name}.json"
        certify(
            invoke,
            model_file,
            data_file,
            "--eps",
            "0.02",
            "--skip",
            2,
            "--limit",
            7,
            "--batch-size",
            batch,
            "--json",
            out,
        )
        runs.append(document_of(out)["certificates"])
    assert [row["index"] for row in runs[0]] == list(range(2, 9))
    assert [row["status"] for row in runs[0]] == [row["status"] for row in runs[1]]


def test_csv_quiet_and_attack(invoke, tmp_path, model_file, data_file):
    arguments = ["--eps", "1", "--attack", 10, "--quiet", "--csv", tmp_path / "o.csv", "--json", tmp_path / "o.json"]
    result = certify(invoke, model_file, data_file, *arguments)
    assert result.exit_code == 0 and result.output == ""
    with (tmp_path / "o.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    rows = document_of(tmp_path / "o.json")["certificates"]
    assert [line["status"] for line in lines] == [row["status"] for row in rows]
    falsified = [row for row in rows if row["status"] == "falsified"]
    assert falsified and all(len(row["counterexample"]) == 4 for row in falsified)


def test_a_required_result_decides_the_exit_status(invoke, model_file, data_file):
    assert certify(invoke, model_file, data_file, "--eps", 0, "--require-certified", 90).exit_code == 0
    result = certify(invoke, model_file, data_file, "--eps", 5, "--require-certified", 90)
    assert result.exit_code == 1
    assert "90 % were required" in result.stderr


def test_boxes_replace_the_ball(invoke, tmp_path, model_file, data_file):
    x = numpy.load(data_file)["x"]
    numpy.save(tmp_path / "l.npy", x - 0.02)
    numpy.save(tmp_path / "u.npy", x + 0.02)
    box = f"{tmp_path}/l.npy,{tmp_path}/u.npy"
    certify(invoke, model_file, data_file, "--box", box, "--batch-size", 5, "--json", tmp_path / "box.json")
    certify(invoke, model_file, data_file, "--eps", "0.02", "--json", tmp_path / "ball.json")
    boxed, ball = (document_of(tmp_path / f"{name}.json") for name in ("box", "ball"))
    statuses = [[row["status"] for row in document["certificates"]] for document in (boxed, ball)]
    assert statuses[0] == statuses[1]
    assert "one box a sample" in boxed["settings"]["set"]


def test_a_box_is_one_of_the_registered_sets(invoke, tmp_path, model_file, data_file):
    """--box alone and --box with --norm box give the same set; documents and replay identify it by its files."""
    x = numpy.load(data_file)["x"]
    numpy.save(tmp_path / "l.npy", x - 0.02)
    numpy.save(tmp_path / "u.npy", x + 0.02)
    box = f"{tmp_path}/l.npy,{tmp_path}/u.npy"
    for name, named in (("short", ()), ("long", ("--norm", "box"))):
        result = certify(invoke, model_file, data_file, "--box", box, *named, "--json", tmp_path / f"{name}.json")
        assert result.exit_code == 0, result.stderr
        replayed = invoke("replay", tmp_path / f"{name}.json")
        assert replayed.exit_code == 0, replayed.output
    short, long = (document_of(tmp_path / f"{name}.json") for name in ("short", "long"))
    assert [row["margin"] for row in short["certificates"]] == [row["margin"] for row in long["certificates"]]
    for key in ("set", "eps", "norm", "domain", "box", "box_sha256"):
        assert short["settings"][key] == long["settings"][key]
    assert short["settings"]["norm"] is None and short["settings"]["box"] == box


@pytest.mark.parametrize(
    ("command", "extra"), [("radius", ()), ("detect", ("--eps", "0.1")), ("certify", ("--eps", "0.1"))]
)
def test_boxes_are_refused_in_one_sentence_where_a_radius_is_needed(
    invoke, tmp_path, model_file, data_file, command, extra
):
    for name in "lu":
        numpy.save(tmp_path / f"{name}.npy", numpy.zeros(4))
    box = f"{tmp_path}/l.npy,{tmp_path}/u.npy"
    result = invoke(command, model_file, "--data", data_file, "--box", box, *extra)
    assert result.exit_code == 2 and "has no radius" in result.stderr and "Traceback" not in result.output


def test_a_specification_replaces_the_class(invoke, tmp_path, model_file, data_file):
    out = tmp_path / "out.json"
    result = certify(invoke, model_file, data_file, "--eps", "0.01", "--spec", "y0 > -1000", "--json", out)
    assert result.exit_code == 0, result.stderr
    document = document_of(out)
    assert document["summary"]["certified"] == 12
    assert "y0 > -1000" in result.stdout and document["settings"]["specification"] == "y0 > -1000"


def test_exported_programs_and_state_dicts_are_certified_alike(invoke, tmp_path, data_file, network):
    batch = torch.export.Dim("batch", min=1, max=1024)
    program = torch.export.export(network, (torch.rand(3, 4),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "m.pt2")
    torch.save(network.state_dict(), tmp_path / "state.pt")
    (tmp_path / "arch.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))\n"
    )
    torch.save(network, tmp_path / "m.pt")
    margins = []
    for name, extra in (
        ("m.pt", []),
        ("m.pt2", []),
        ("m.pt2", ["--mean", "0", "--std", "1"]),
        ("m.pt2", ["--dtype", "float64"]),
        ("state.pt", ["--arch", f"{tmp_path}/arch.py:build"]),
    ):
        out = tmp_path / "out.json"
        result = certify(invoke, tmp_path / name, data_file, "--eps", "0.02", "--json", out, "--overwrite", *extra)
        assert result.exit_code == 0, result.stderr
        margins.append([row["margin"] for row in document_of(out)["certificates"]])
    for other in margins[1:]:
        numpy.testing.assert_allclose(other, margins[0], atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give either --eps or --box"),
        (["--eps", "0.1", "--box", "a,b"], "Give either --eps or --box"),
        (["--norm", "box"], "needs its parameter 'box'"),
        (["--eps", "-1"], "is below 0"),
        (["--eps", "x"], "neither a number nor a fraction"),
        (["--eps", "0.1", "--norm", "l0"], "is no norm"),
        (["--eps", "0.1", "--domain", "1,0"], "is empty"),
        (["--box", "a,b", "--domain", "0,1"], "--domain clips sets that have a radius"),
        (["--box", "a,b", "--norm", "l2"], "give --norm box"),
        (["--eps", "0.1", "--require-certified", "nan"], "is not finite"),
        (["--eps", "0.1", "--require-certified", "101"], "is above 100"),
        (["--eps", "0.1", "--json", "a", "--csv", "a"], "already an input or another output"),
        (["--eps", "0.1", "--json", "/"], "a folder or a device"),
        (["--box", "only.npy"], "must name two files"),
        (["--box", "absent.npy,absent.npy"], "There is no file 'absent.npy'"),
        (["--eps", "0.1", "--mean", "0.5"], "--mean and --std go together"),
        (["--eps", "0.1", "--mean", "1,2", "--std", "1,2"], "--mean holds 2 numbers"),
        (["--eps", "0.1", "--std", "0"], "positive numbers only"),
        (["--eps", "0.1", "--device", "cuda:99"], "no CUDA device|no device"),
        (["--eps", "0.1", "--device", "abacus"], "is no device"),
        (["--eps", "0.1", "--device", "meta"], "is not supported"),
        (["--eps", "0.1", "--skip", "12"], "leaves no sample"),
        (["--eps", "0.1", "--limit", "0"], "x>=1"),
        (["--eps", "0.1", "--resume"], "--resume needs --json"),
        (["--eps", "0.1", "--json", "absent/folder/out.json"], "its folder does not exist"),
        (["--eps", "0.1", "--spec", "gibberish"], "is not a specification"),
        (["--eps", "0.1", "--memory", "lots"], "no amount of memory"),
        (["--eps", "0.1", "--arch", "os:sep"], "cannot be called"),
        (["--eps", "0.1", "--data", "mnist:test"], "--data-dir"),
        (["--eps", "0.1", "--data", "absent.npz"], "There is no data file"),
    ],
)  # fmt: skip
def test_bad_usage_is_one_line_and_exit_status_2(invoke, model_file, data_file, arguments, message):
    result = certify(invoke, model_file, data_file, *arguments)
    assert result.exit_code == 2
    error = result.stderr[result.stderr.index("Error: ") :]
    assert re.search(message, error.replace("\n", " "))
    assert "Traceback" not in result.output


def test_models_and_data_that_do_not_fit_are_named(invoke, tmp_path, model_file, data_file):
    result = invoke("certify", model_file, "--eps", "0.1")
    assert result.exit_code == 2 and "give others with --data" in result.stderr
    numpy.savez(tmp_path / "wide.npz", x=numpy.zeros((2, 5), dtype=numpy.float32))
    result = certify(invoke, model_file, tmp_path / "wide.npz", "--eps", "0.1")
    assert result.exit_code == 2 and "does not accept inputs of shape (5,)" in result.stderr
    numpy.savez(tmp_path / "labels.npz", x=numpy.zeros((2, 4), dtype=numpy.float32), y=numpy.array([0, 3]))
    result = certify(invoke, model_file, tmp_path / "labels.npz", "--eps", "0.1")
    assert result.exit_code == 2 and "label of sample 1" in result.stderr
    result = invoke("certify", tmp_path / "absent.pt", "--eps", "0.1")
    assert result.exit_code == 2 and "There is no model file" in result.stderr
    torch.save(nn.Flatten(0), tmp_path / "flat.pt")
    result = certify(invoke, tmp_path / "flat.pt", data_file, "--eps", "0.1")
    assert result.exit_code == 2 and "must return one tensor [batch, ...]" in result.stderr


def test_deployed_requires_margins_above_the_execution_error(invoke, tmp_path, model_file, data_file):
    """Table, document and report state the bound on the execution error; the option is recorded and replayed."""
    plain = certify(invoke, model_file, data_file, "--eps", "0.02", "--json", tmp_path / "plain.json")
    line = re.search(
        r"margins +of the network in real arithmetic; float32 execution may differ by up to (\S+)", plain.stdout
    )
    rows = document_of(tmp_path / "plain.json")["certificates"]
    largest = max(row["execution_error"] for row in rows)
    assert line is not None and largest <= float(line[1]) <= 1.1 * largest
    deployed = certify(
        invoke, model_file, data_file, "--eps", "0.02", "--deployed", "--json", tmp_path / "deployed.json"
    )
    assert "and of any float32 execution (sums in any order), which may differ by up to" in deployed.stdout
    document = document_of(tmp_path / "deployed.json")
    assert (
        document["settings"]["deployed"] is True and "deployed" not in document_of(tmp_path / "plain.json")["settings"]
    )
    for row, other in zip(document["certificates"], rows):
        beyond = other["margin"] is not None and other["margin"] > other["execution_error"]
        assert (row["status"] == "certified") == (other["status"] == "certified" and beyond)
    assert invoke("replay", tmp_path / "deployed.json").exit_code == 0
    assert invoke("report", tmp_path / "deployed.json").exit_code == 0
    assert "which may differ by up to" in (tmp_path / "deployed.html").read_text(encoding="utf-8")


class Exponential(nn.Module):
    """Computes a weight by a function (the matrix exponential) without a rounding analysis."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3))

    def forward(self, x):
        return x @ torch.linalg.matrix_exp(self.weight)


def test_deployed_refuses_functions_without_a_rounding_analysis(invoke, tmp_path, data_file, network):
    path = tmp_path / "scores.pt2"
    model = nn.Sequential(network, Exponential()).eval()
    x = torch.from_numpy(numpy.load(data_file)["x"])[:2]
    torch.export.save(torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},)), path)
    result = certify(invoke, path, data_file, "--eps", "0.02", "--deployed")
    assert result.exit_code == 2
    assert result.stderr.strip().endswith("certify it in real arithmetic alone") and "matrix_exp" in result.stderr
    plain = certify(invoke, path, data_file, "--eps", "0.02")
    assert "float32 execution may differ, by how much is not known: how a constant is computed" in plain.stdout


@pytest.mark.parametrize("command", ["certify", "radius"])
def test_balls_are_used_recorded_and_replayed(command, invoke, tmp_path, model_file, data_file):
    size = ("--eps", "0.3") if command == "certify" else ("--max-radius", "0.3", "--limit", "2")
    out = tmp_path / "balls.json"
    found = invoke(command, model_file, "--data", data_file, *size, "--norm", "l2", "--balls", "--json", out)
    assert found.exit_code == 0, found.stderr
    assert "adaptive, in balls" in found.stdout
    document = document_of(out)
    assert document["settings"]["balls"] is True
    if command == "certify":
        assert {row["method"] for row in document["certificates"]} == {"dual bound, adaptive slopes in balls"}
        refused = invoke("certify", model_file, "--data", data_file, *size, "--balls", "--projection", "20")
        assert refused.exit_code == 2 and "--balls" in refused.stderr
    again = invoke("replay", out)
    assert again.exit_code == 0 and "rows that differ      0" in again.stdout, again.output


def test_the_set_of_a_networks_file_is_bounded_exactly_however_training_bounded_it(invoke, tmp_path):
    """The network was trained with first-layer bounds at 16 prices; what it was trained for is the ball."""
    network, out = Path(__file__).parents[2] / "examples" / "mnist_wasserstein.pt", tmp_path / "out.json"
    result = invoke("certify", network, "--limit", 1, "--json", out)
    assert result.exit_code == 0, result.stderr
    settings = document_of(out)["settings"]
    assert settings["norm"] == "wasserstein" and settings["eps"] == 0.05
    assert settings["set_options"] == {"window": 5, "cost": 1.0}
