"""Published VNN-LIB instances with known answers: no verdict is wrong, and the easy instances are decided."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy
import pytest
import torch

import autodual
from autodual.certification import VerdictStatus
from autodual.certification.verdicts.counterexample_confirmation import Judge, runtime_replay

pytest.importorskip("onnx")

#: By group: seconds per instance, number of instances with known answers to take, how many of them must be decided.
GROUPS = {
    "test": (10, 5, 5),
    "rl_benchmarks": (3, 60, 58),
    "collins_rul_cnn": (5, 20, 20),
    "tllverifybench": (10, 6, 6),
    "mnist_fc": (3, 8, 5),
    "safenlp": (0.5, 40, 26),
    "acasxu": (2, 24, 8),
}


@pytest.fixture
def assets(shared_directory: Path) -> Path:
    folder = shared_directory / "assets/vnncomp"
    if not folder.is_dir():
        pytest.skip("no VNN-COMP instances beside the repository")
    return folder


def _instances(folder: Path, count: int) -> list[dict[str, str]]:
    """Instances with the known answer sat or unsat, evenly spread over the file."""
    with open(folder / "instances.csv", newline="", encoding="utf-8") as file:
        known = [row for row in csv.DictReader(file) if row["expected"] in ("sat", "unsat")]
    step = max(1, len(known) // count)
    return known[::step][:count]


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_no_verdict_is_wrong(group: str, assets: Path) -> None:
    seconds, count, decided = GROUPS[group]
    right = 0
    for row in _instances(assets / group, count):
        path = str(assets / group / row["onnx"])
        model = autodual.load_onnx(path, check=False)
        goal = autodual.load_property(assets / group / row["vnnlib"])
        dual = autodual.compile_dual(model, torch.zeros(1, *model.input_shapes[0]))
        verdict = autodual.verify(dual, goal, timeout=seconds, replay=runtime_replay(path, model.output_name))
        if verdict.status in (VerdictStatus.SAT, VerdictStatus.UNSAT):
            assert str(verdict.status) == row["expected"], row
            right += 1
    assert right >= decided


@pytest.mark.parametrize("group", ["acasxu", "rl_benchmarks", "mnist_fc", "nn4sys"])
def test_known_counterexamples_violate_the_property_that_was_read(group: str, assets: Path) -> None:
    """Recorded counterexamples lie in the box, and their outputs by onnxruntime satisfy some case of the property."""
    pytest.importorskip("onnxruntime")
    seen = 0
    for row in _instances(assets / group, 1000):
        if row["confidence"] != "witness_exact" or not row["witness"] or seen == 5:
            continue
        goal = autodual.load_property(assets / group / row["vnnlib"])
        inputs = numpy.load(assets / group / row["witness"]).reshape(-1).astype(numpy.float32)
        replay = runtime_replay(str(assets / group / row["onnx"]))
        assert replay is not None
        # A bound such as -0.45 is no float32 number; the recorded input may be its rounded value.
        judge = Judge(goal, replay)
        assert any(judge.confirm(torch.from_numpy(inputs), case) for case in range(len(goal.cases))), row
        seen += 1
    assert seen or group == "nn4sys"
