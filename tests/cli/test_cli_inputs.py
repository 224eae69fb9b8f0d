"""Hostile and unusual inputs of `autodual certify`: files read are not overwritten, silently rounded or trusted."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy
import pytest
import torch
from torch import nn


class Averaged(nn.Module):
    """A network whose output for one sample depends on the other samples of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x - x.mean(0, keepdim=True))


def rows_of(path):
    return json.loads(path.read_text())["certificates"]


def test_inputs_are_never_overwritten(invoke, model_file, data_file):
    kept = {path: path.read_bytes() for path in (model_file, data_file)}
    for option in ("--json", "--csv"):
        for path in kept:
            result = invoke("certify", model_file, "--data", data_file, "--eps", "0.1", option, path)
            assert result.exit_code == 2 and "is already an input or another output" in result.stderr
    result = invoke("inspect", model_file, "--dot", model_file)
    assert result.exit_code == 2 and "choose another name" in result.stderr
    assert all(path.read_bytes() == content for path, content in kept.items())


def test_rounding_of_double_precision_data_is_reported(invoke, tmp_path, model_file):
    numpy.savez(tmp_path / "x.npz", x=numpy.full((1, 4), 1 / 3))
    for dtype, rounded in (("float32", True), ("float64", False)):
        out = tmp_path / f"{dtype}.json"
        arguments = ["--data", tmp_path / "x.npz", "--eps", "0.01", "--dtype", dtype, "--json", out]
        assert invoke("certify", model_file, *arguments).exit_code == 0
        description = json.loads(out.read_text())["settings"]["data_description"]
        assert description.endswith("rounded to float32") == rounded
    numpy.savez(tmp_path / "large.npz", x=numpy.full((1, 4), 1e300))
    result = invoke("certify", model_file, "--data", tmp_path / "large.npz", "--eps", "0.01")
    assert result.exit_code == 2 and "use --dtype float64" in result.stderr and "Warning" not in result.stderr


@pytest.mark.parametrize("kind", [numpy.int64, numpy.float64])
def test_one_box_for_all_samples(invoke, tmp_path, model_file, data_file, kind):
    numpy.save(tmp_path / "l.npy", numpy.zeros(4, dtype=kind))
    numpy.save(tmp_path / "u.npy", numpy.ones(4, dtype=kind))
    box = f"{tmp_path}/l.npy,{tmp_path}/u.npy"
    result = invoke("certify", model_file, "--data", data_file, "--box", box, "--json", tmp_path / "o.json")
    assert result.exit_code == 0 and "one box for all samples" in result.stdout
    result = invoke("certify", model_file, "--data", data_file, "--box", f"{tmp_path}/u.npy,{tmp_path}/l.npy")
    assert result.exit_code == 2 and "is empty" in result.stderr


def test_models_that_cannot_be_certified(invoke, tmp_path, data_file, network):
    def refused(model: nn.Module, *arguments: object) -> str:
        torch.save(model, tmp_path / "m.pt")
        result = invoke("certify", tmp_path / "m.pt", "--data", data_file, "--eps", "0.1", *arguments)
        assert result.exit_code == 2 and "Traceback" not in result.output
        return result.stderr

    assert "the batch axis" in refused(Averaged(), "--unsafe-load")
    assert "normalises by the statistics of the batch" in refused(
        nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False))
    )
    fold = (nn.Unflatten(1, (8, 1)), nn.Fold(1, 1), nn.Flatten())
    unsupported = refused(nn.Sequential(nn.Linear(4, 8), *fold, nn.Linear(8, 8), *fold, nn.Linear(8, 3)))
    assert "index_put" in unsupported and "module '2'" in unsupported and "module '6'" in unsupported
    assert f"{Averaged.__module__}.Averaged" in refused(Averaged())
    with torch.no_grad():
        network[0].weight[0, 0] = float("nan")
    assert "'0.weight' holds NaN or infinity" in refused(network)


def test_a_factory_that_exits_is_an_error(invoke, tmp_path, data_file, network):
    torch.save(network.state_dict(), tmp_path / "state.pt")
    (tmp_path / "leave.py").write_text("import sys\nsys.exit(0)\n")
    arguments = ["--arch", f"{tmp_path}/leave.py:build", "--data", data_file, "--eps", "0.1"]
    result = invoke("certify", tmp_path / "state.pt", *arguments)
    assert result.exit_code == 2 and "SystemExit" in result.stderr


@pytest.mark.parametrize("batch", ["dynamic", 1, 3])
def test_exported_programs_with_any_batch(invoke, tmp_path, model_file, data_file, network, batch):
    size = 3 if batch == "dynamic" else batch
    shapes = ({0: torch.export.Dim("batch")},) if batch == "dynamic" else None
    program = torch.export.export(network, (torch.rand(size, 4),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "m.pt2")
    margins = []
    for path in (model_file, tmp_path / "m.pt2"):
        arguments = ["--data", data_file, "--eps", "0.02", "--dtype", "float64", "--json", tmp_path / "o.json"]
        assert invoke("certify", path, *arguments, "--overwrite").exit_code == 0
        margins.append([row["margin"] for row in rows_of(tmp_path / "o.json")])
    numpy.testing.assert_allclose(margins[0], margins[1], rtol=0, atol=1e-12)


def test_the_cifar_network_in_raw_units_agrees_with_its_reference(invoke, shared_directory, tmp_path):
    """The margins equal those of an independent implementation, with normalisation, clipping and eps in pixel units."""
    reference = numpy.load(shared_directory / "reference" / "linear_relaxation" / "cifar_cnn_a_eps2_255_clipped.npz")
    numpy.savez(tmp_path / "x.npz", x=reference["x"][:2], y=reference["labels"][:2])
    mean, std = (",".join(f"{value:.9g}" for value in reference[key].ravel()) for key in ("mean", "std"))
    arguments = ["--mean", mean, "--std", std, "--domain", "0,1", "--dtype", "float64", "--json", tmp_path / "o.json"]
    model = shared_directory / "reference" / "cifar_cnn_a.pt"
    result = invoke("certify", model, "--data", tmp_path / "x.npz", "--eps", "2/255", *arguments)
    assert result.exit_code == 0, result.stderr
    margins = [row["margins"] for row in rows_of(tmp_path / "o.json")]
    numpy.testing.assert_allclose(margins, reference["margins_adaptive"][:2], rtol=0, atol=1e-6)


def test_a_closed_pipe_is_no_traceback(model_file, data_file):
    """As in `autodual certify ... | head -0`."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "autodual_cli", "certify", model_file, "--data", data_file, "--eps", "0.01"]
    run = subprocess.run([str(part) for part in command], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert "Traceback" not in run.stderr
