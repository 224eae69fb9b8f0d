"""`autodual verify`: the first line is the verdict alone, in both forms of the command; and its document."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

from autodual.certification.deadline import TimeUp, deadline
from autodual.report import load_document

DECLARED = "".join(f"(declare-const X_{i} Real)(assert (>= X_{i} 0))(assert (<= X_{i} 1))" for i in range(4)) + "".join(
    f"(declare-const Y_{k} Real)" for k in range(3)
)
VERSION_2 = """(vnnlib-version <2.0>)
(declare-network f (declare-input X float32 [1,4]) (declare-output Y float32 [1,3]))
(assert (and (>= X[0,0] 0.0) (>= X[0,1] 0.0) (>= X[0,2] 0.0) (>= X[0,3] 0.0)))
(assert (and (<= X[0,0] 1.0) (<= X[0,1] 1.0) (<= X[0,2] 1.0) (<= X[0,3] 1.0)))
"""


@pytest.fixture
def threshold(network: nn.Module) -> float:
    """A score of class 0 that about one input in a thousand exceeds."""
    points = torch.rand(5000, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return float(network(points)[:, 0].quantile(0.999))


@pytest.fixture
def write(tmp_path: Path):
    def save(text: str, name: str = "p.vnnlib") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return save


def _counterexample(text: str) -> dict[str, list[float]]:
    """Parses a counterexample in the format of VNN-COMP: ((X_0 value) … (Y_0 value) …)."""
    body = text.strip()
    assert body.startswith("((") and body.endswith("))")
    entries = re.findall(r"\(([XY])_(\d+) ([^\s()]+)\)", body)
    assert "".join(body.split()) == "(" + "".join(f"({kind}_{place}{value})" for kind, place, value in entries) + ")"
    found: dict[str, list[float]] = {"X": [], "Y": []}
    for kind, place, value in entries:
        assert int(place) == len(found[kind])
        found[kind].append(float(value))
    return found


def test_sat_with_its_counterexample(invoke, model_file, network, write, threshold, tmp_path) -> None:
    goal = write(DECLARED + f"(assert (>= Y_0 {threshold}))")
    result = invoke("verify", model_file, goal, "--timeout", 20, "--json", tmp_path / "r.json")
    assert result.exit_code == 0, result.output
    first, rest = result.stdout.split("\n", 1)
    assert first == "sat"
    found = _counterexample(rest)
    x = torch.tensor([found["X"]], dtype=torch.float64).float()
    assert bool((x >= 0).all()) and bool((x <= 1).all())
    with torch.no_grad():
        assert float(network(x)[0, 0]) >= threshold
    assert found["Y"][0] >= threshold
    document = load_document(tmp_path / "r.json")
    (row,) = document["verdicts"]
    assert row["status"] == "sat"
    assert row["counterexample"] == found["X"]
    assert document["summary"]["sat"] == 1
    assert len(document["settings"]["property_sha256"]) == 64
    assert [file["role"] for file in document["settings"]["provenance"]["files"]] == ["model", "property"]


def test_unsat_and_the_page_of_its_document(invoke, model_file, write, threshold, tmp_path) -> None:
    goal = write(DECLARED + f"(assert (>= Y_0 {abs(threshold) + 100}))")
    result = invoke("verify", model_file, goal, "--json", tmp_path / "r.json")
    assert result.stdout == "unsat\n"
    assert "unsat by" in result.stderr
    page = invoke("report", tmp_path / "r.json")
    assert page.exit_code == 0, page.output
    assert "Verification" in (tmp_path / "r.html").read_text()
    assert json.loads((tmp_path / "r.json").read_text())["schema"] == "autodual.verify/1"


def test_the_form_of_version_2(invoke, model_file, write, threshold) -> None:
    goal = write(VERSION_2 + f"(assert (>= Y[0,0] {threshold}))")
    result = invoke("verify", goal, "--network", f"f={model_file}", "--timeout", 20, "--quiet")
    assert result.stdout.startswith("sat\n")
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert (lines[1], lines[6]) == ("X float32 [1,4]", "Y float32 [1,3]")
    assert all(0 <= float(line) <= 1 for line in lines[2:6]) and float(lines[7]) >= threshold
    unsat = write(VERSION_2 + f"(assert (>= Y[0,0] {abs(threshold) + 100}))")
    assert invoke("verify", unsat, "--network", f"f={model_file}").stdout == "unsat\n"
    wrong = invoke("verify", goal, "--network", f"g={model_file}")
    assert wrong.exit_code == 2
    assert "'f'" in wrong.stderr and wrong.stdout == ""


def test_a_timeout_of_zero_gives_the_verdict_timeout(invoke, model_file, write, threshold) -> None:
    goal = write(DECLARED + f"(assert (>= Y_0 {abs(threshold) + 100}))")
    assert invoke("verify", model_file, goal, "--timeout", 0).stdout == "timeout\n"
    assert invoke("verify", goal, "--network", f"f={model_file}", "--timeout", 0).stdout == "timed-out\n"


def test_files_that_take_too_long_to_read(invoke, model_file, write, threshold, monkeypatch) -> None:
    def never(path):
        while True:
            numpy.zeros(10)

    monkeypatch.setattr("autodual_cli.tasks.network_and_property.load_model_file", never)
    monkeypatch.setattr("autodual_cli.tasks.property_verdict._GRACE", 0.1)
    result = invoke("verify", model_file, write(DECLARED + "(assert (>= Y_0 0))"), "--timeout", 0.2)
    assert result.stdout == "timeout\n"


def test_a_deadline_interrupts_python() -> None:
    with pytest.raises(TimeUp), deadline(0.05):
        while True:
            numpy.zeros(10)
    with deadline(30), deadline(None):
        pass


def test_a_deadline_lets_an_import_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a module would stay behind, and whoever imports it next would fail."""
    (tmp_path / "imported_slowly.py").write_text("import time\ntime.sleep(0.2)\nwhole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TimeUp), deadline(0.05):
        module = importlib.import_module("imported_slowly")
        while module.whole:
            numpy.zeros(10)


def test_an_onnx_network_is_run_by_onnxruntime(invoke, network, write, threshold, tmp_path) -> None:
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    first, last = network[0], network[2]
    tensors = [
        onnx.numpy_helper.from_array(tensor.detach().numpy(), name)
        for name, tensor in (("w", first.weight), ("a", first.bias), ("v", last.weight), ("b", last.bias))
    ]
    nodes = [
        onnx.helper.make_node("Gemm", ["x", "w", "a"], ["h"], transB=1),
        onnx.helper.make_node("Relu", ["h"], ["r"]),
        onnx.helper.make_node("Gemm", ["r", "v", "b"], ["y"], transB=1),
    ]
    value = onnx.helper.make_tensor_value_info
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(nodes, "g", [value("x", kind, [1, 4])], [value("y", kind, [1, 3])], tensors)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    result = invoke("verify", tmp_path / "m.onnx", write(DECLARED + f"(assert (>= Y_0 {threshold}))"))
    assert result.stdout.startswith("sat\n"), result.output
    found = _counterexample(result.stdout[4:])
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": numpy.array([found["X"]], numpy.float32)})
    assert y[0].astype(float).tolist() == found["Y"]


def test_a_network_of_several_inputs(invoke, write, tmp_path) -> None:
    """y = (a₀ + 2 b₀, a₁ + 2 b₁)⁺ for a in [0, 1]² and b in [-1, 0]²: at most 1, where a = 1 and b = 0."""
    onnx = pytest.importorskip("onnx")
    value, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    two = onnx.numpy_helper.from_array(numpy.array(2, numpy.float32), "two")
    nodes = [
        onnx.helper.make_node("Mul", ["b", "two"], ["c"]),
        onnx.helper.make_node("Add", ["a", "c"], ["s"]),
        onnx.helper.make_node("Relu", ["s"], ["y"]),
    ]
    graph = onnx.helper.make_graph(
        nodes, "g", [value("a", kind, [1, 2]), value("b", kind, [1, 2])], [value("y", kind, [1, 2])], [two]
    )
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8),
        tmp_path / "m.onnx",
    )
    text = (
        "(vnnlib-version <2.0>)\n(declare-network f (declare-input A float32 [1,2]) (declare-input B float32 [1,2])"
        " (declare-output Y float32 [1,2]))\n"
        + "".join(f"(assert (and (>= A[0,{i}] 0.0) (<= A[0,{i}] 1.0)))" for i in range(2))
        + "".join(f"(assert (and (>= B[0,{i}] -1.0) (<= B[0,{i}] 0.0)))" for i in range(2))
    )
    for threshold, verdict in (("0.875", "sat"), ("1.001", "unsat")):
        goal = write(text + f"(assert (>= Y[0,1] {threshold}))")
        result = invoke("verify", goal, "--network", f"f={tmp_path / 'm.onnx'}", "--timeout", 20)
        assert result.stdout.split("\n")[0] == verdict, result.output
        if verdict == "sat":
            lines = result.stdout.splitlines()
            assert (lines[1], lines[4], lines[7]) == ("A float32 [1,2]", "B float32 [1,2]", "Y float32 [1,2]")
            assert float(lines[3]) + 2 * float(lines[6]) >= 0.875
    swapped = text.replace("input A", "input Z").replace("input B", "input A").replace("input Z", "input B")
    uneven = swapped.replace("B float32 [1,2]", "B float32 [1,1]").replace("A float32 [1,2]", "A float32 [1,3]")
    goal = write(uneven.split("(assert")[0] + "(assert (>= Y[0,1] 0.0))" + "".join(
        f"(assert (and (>= {entry} 0.0) (<= {entry} 1.0)))" for entry in ("B[0,0]", "A[0,0]", "A[0,1]", "A[0,2]")
    ))  # fmt: skip
    refused = invoke("verify", goal, "--network", f"f={tmp_path / 'm.onnx'}")
    assert refused.exit_code == 2 and "order" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [["verify"], ["verify", "m.pt"], ["verify", "p", "--network", "f"], ["verify", "m", "p", "--network", "f=m"],
     ["verify", "p", "--network", "f=m", "--network", "g=m"]],
)  # fmt: skip
def test_wrong_usage(arguments, invoke) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr and result.stdout == ""


def test_properties_that_do_not_fit(invoke, model_file, write, tmp_path) -> None:
    other = write("(declare-const X_0 Real)(declare-const Y_0 Real)(assert (= X_0 0))(assert (<= Y_0 0))")
    for arguments, reason in (
        (["verify", model_file, other], "belong together"),
        (["verify", model_file, tmp_path / "none.vnnlib"], "no file"),
        (["verify", tmp_path / "none.pt", other], "none.pt"),
        (["verify", model_file, other, "--json", other], "already"),
    ):
        result = invoke(*arguments)
        assert result.exit_code == 2, result.output
        assert reason in result.stderr and result.stdout == ""
