"""Published properties and networks, where they are present: exact decisions agree with the known answers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy
import pytest
import torch

import autodual
from autodual.files import load_model_file

pytest.importorskip("onnx")
pytest.importorskip("highspy")

# Instances that dual bounds over the whole input box cannot decide.
INSTANCES = [
    ("tllverifybench", "property_N=8_1", "unsat"),
    ("tllverifybench", "property_N=8_2", "unsat"),
    ("mnist_fc", "prop_3_0.05", "unsat"),
]


@pytest.mark.parametrize("group, name, expected", INSTANCES)
def test_known_verdicts_are_found(shared_directory: Path, group: str, name: str, expected: str) -> None:
    folder = shared_directory / "assets/vnncomp" / group
    if not folder.is_dir():
        pytest.skip("no VNN-COMP instances beside the repository")
    (row,) = (row for row in csv.DictReader((folder / "instances.csv").open()) if f"/{name}." in row["vnnlib"])
    assert row["expected"] == expected
    dual = autodual.compile_dual(autodual.load_onnx(folder / row["onnx"]))
    goal = autodual.load_property(folder / row["vnnlib"])
    verdict = autodual.verify(dual, goal, timeout=60, attack=None, exact_seconds=50)
    assert verdict.status == expected and "branch and bound" in verdict.method


def test_the_thesis_network_is_decided_at_samples_that_dual_bounds_leave_open(shared_directory: Path) -> None:
    file = shared_directory / "reference/mnist_small.pt"
    bounds = shared_directory / "reference/linear_relaxation/mnist_small_eps0.1_clipped.npz"
    if not (file.is_file() and bounds.is_file()):
        pytest.skip("no reference networks beside the repository")
    arrays = numpy.load(bounds)
    x, labels = torch.from_numpy(arrays["x"]).float(), torch.from_numpy(arrays["labels"])
    open_ = (arrays["margins_shared"].min(1) <= 0).nonzero()[0][:2]
    dual = autodual.compile_dual(load_model_file(file).model, x[:1])
    ball = autodual.LinfBall(0.1, domain=(0, 1))
    found = autodual.certify(dual, x[open_], ball, labels[open_], exact_seconds=60.0)
    assert len(open_) and all(str(one.status) in ("certified", "falsified", "misclassified") for one in found)
