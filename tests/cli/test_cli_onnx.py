"""ONNX files given as MODEL to the commands."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    """x [N, 1, 4] -> flatten -> two scores, the sums of x's halves."""
    from onnx import TensorProto, helper, numpy_helper

    weight = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("Relu", ["flat"], ["positive"]),
            helper.make_node("MatMul", ["positive", "weight"], ["scores"]),
        ],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(weight, "weight")],
    )
    path = tmp_path / "network.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.npz"
    x = np.array([[[0.9, 0.8, 0.1, 0.1]], [[0.1, 0.2, 0.6, 0.9]], [[0.5, 0.5, 0.5, 0.6]]], dtype=np.float32)
    np.savez(path, x=x, y=np.array([0, 1, 1]))
    return path


@pytest.mark.parametrize("options", [[], ["--mean", "0.5", "--std", "2"]], ids=["raw", "normalised"])
def test_certify(invoke, onnx_file: Path, data: Path, tmp_path: Path, options: list[str]) -> None:
    target = tmp_path / "result.json"
    result = invoke("certify", onnx_file, "--data", data, "--eps", 0.05, "--json", target, *options)
    assert result.exit_code == 0, result.output
    statuses = [row["status"] for row in json.loads(target.read_text())["certificates"]]
    # After subtracting the mean, the ReLU zeroes most of the third sample; it is undecided in both cases.
    assert statuses[:2] == ["certified", "certified"] and statuses[2] != "certified"


def test_inspect(invoke, onnx_file: Path) -> None:
    result = invoke("inspect", onnx_file)
    assert result.exit_code == 0, result.output
    assert (
        "ONNX file" in result.output and "input 1x4, 2 outputs" in result.output and "tensors.weight" in result.output
    )


def test_architectures_and_damaged_files_are_refused(invoke, onnx_file: Path, tmp_path: Path) -> None:
    result = invoke("inspect", onnx_file, "--arch", "package:factory")
    assert result.exit_code == 2
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(onnx_file.read_bytes()[:100])
    result = invoke("inspect", broken)
    assert result.exit_code == 2 and "truncated or damaged" in result.output


def test_a_changed_file_of_weights_is_noticed(invoke, onnx_file: Path, data: Path, tmp_path: Path) -> None:
    """The provenance records the weight file's digest; resuming and replaying refuse a changed weight file."""
    onnx.save(onnx.load(onnx_file), onnx_file, save_as_external_data=True, location="weights.data", size_threshold=0)
    record, beside = tmp_path / "run.json", tmp_path / "weights.data"
    assert invoke("certify", onnx_file, "--data", data, "--eps", "0.05", "--json", record).exit_code == 0
    (listed,) = (
        file for file in json.loads(record.read_text())["settings"]["provenance"]["files"] if file["role"] == "weights"
    )
    assert listed == {
        "role": "weights",
        "path": str(beside),
        "sha256": hashlib.sha256(beside.read_bytes()).hexdigest(),
    }
    assert invoke("replay", record).exit_code == 0
    beside.write_bytes((2 * np.frombuffer(beside.read_bytes(), np.float32)).tobytes())
    replayed = invoke("replay", record)
    assert replayed.exit_code == 2 and "The weight file is not the one of the recorded run" in replayed.stderr
    resumed = invoke("certify", onnx_file, "--data", data, "--eps", "0.05", "--json", record, "--resume")
    assert resumed.exit_code == 2 and "The weight file has changed" in resumed.stderr


def test_a_file_of_a_fixed_batch(invoke, tmp_path: Path) -> None:
    """A file that takes exactly four samples is used sample by sample: y = (x₀, 2 x₁)."""
    from onnx import TensorProto, helper, numpy_helper

    value, shape = helper.make_tensor_value_info, np.array([4, -1])
    nodes = [helper.make_node("Mul", ["x", "w"], ["h"]), helper.make_node("Reshape", ["h", "s"], ["y"])]
    ends = [value("x", TensorProto.FLOAT, [4, 1, 2])], [value("y", TensorProto.FLOAT, [4, 2])]
    tensors = [numpy_helper.from_array(np.array([1, 2], np.float32), "w"), numpy_helper.from_array(shape, "s")]
    path, data = tmp_path / "four.onnx", tmp_path / "data.npz"
    graph = helper.make_graph(nodes, "g", *ends, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    np.savez(data, x=np.float32([[[0.5, 0.1]], [[0.5, 0.4]], [[0.5, 0.3]]]), y=np.array([0, 1, 1]))
    record = tmp_path / "record.json"
    result = invoke("certify", path, "--data", data, "--eps", "0.04", "--json", record)
    assert result.exit_code == 0
    found = [row["status"] for row in json.loads(record.read_text())["certificates"]]
    assert found == ["certified", "certified", "unknown"]
    goal = tmp_path / "goal.vnnlib"
    box = "(assert (>= X_0 0.0)) (assert (<= X_0 1.0)) (assert (>= X_1 0.0)) (assert (<= X_1 1.0))"
    for bound, verdict in ((1.5, "sat"), (2.5, "unsat")):
        names = "".join(f"(declare-const {name} Real)" for name in ("X_0", "X_1", "Y_0", "Y_1"))
        goal.write_text(f"{names}{box}(assert (>= Y_1 {bound}))")
        assert invoke("verify", path, goal).stdout.split()[0] == verdict


def test_moved_mass(invoke, onnx_file: Path, data: Path, tmp_path: Path) -> None:
    """A share of 0.05 of all mass crosses from one half to the other, and changes both scores by as much."""
    target, ball = tmp_path / "result.json", ["--norm", "wasserstein", "--window", 3]
    options = ["--eps", 0.05, "--attack", "frank-wolfe:steps=5", "--json", target]
    assert invoke("certify", onnx_file, "--data", data, *ball, *options).exit_code == 0
    rows = json.loads(target.read_text())["certificates"]
    assert [row["status"] for row in rows] == ["certified", "certified", "falsified"]
    assert [row["margin"] for row in rows] == pytest.approx([1.5 - 0.19, 1.2 - 0.18, 0.1 - 0.21], abs=2e-4)
    assert invoke("replay", target).exit_code == 0
    target = tmp_path / "radii.json"
    options = ["--max-radius", 1, "--tolerance", 0.01, "--json", target]
    assert invoke("radius", onnx_file, "--data", data, *ball, *options).exit_code == 0
    radii = [row["radius"] for row in json.loads(target.read_text())["radii"]]
    assert all(true - 0.01 <= radius <= true for radius, true in zip(radii, [1.5 / 3.8, 1.2 / 3.6, 0.1 / 4.2]))
    flagged = invoke("detect", onnx_file, "--data", data, *ball, "--eps", 0.05)
    assert flagged.exit_code == 0
    assert "flagged           1 " in flagged.output
