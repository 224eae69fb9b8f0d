"""`autodual verify` in the form of VNN-LIB 2.0: several networks, hidden values, products; `autodual supports`."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

import autodual
from autodual.errors import InvalidInputError, ModelFileError
from autodual.frontend.onnx.composed_model import Part, _runs, compose
from autodual.frontend.onnx.declared_values import Declared
from autodual.frontend.onnx.loading import load_onnx_bytes
from autodual.frontend.onnx.model_file import read_model

onnx = pytest.importorskip("onnx")

QUERY = """(vnnlib-version <2.0>)
(declare-network f
  (declare-input X float32 [1,2]) (declare-hidden H float32 [1,3] "hid") (declare-output Y float32 [1,2]))
"""
PAIR = QUERY + "(declare-network g (isomorphic-to f) (declare-input U float32 [1,2]) (declare-output Z float32 [1,2]))"
TIES = "(assert (== X[0,0] U[0,0]))(assert (== X[0,1] U[0,1]))"


def box(*names: str) -> str:
    return "".join(f"(assert (and (>= {name}[0,{i}] -1.0) (<= {name}[0,{i}] 1.0)))" for name in names for i in (0, 1))


def weights(scale: float = 1.0) -> list[numpy.ndarray]:
    draw = numpy.random.default_rng(0).standard_normal
    found = [draw(shape).astype(numpy.float32) for shape in ((2, 3), (3,), (3, 2), (2,))]
    found[0] *= numpy.float32(scale)
    return found


def run(w: list[numpy.ndarray], x: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The hidden values and the outputs of a network at points `[N, 2]`, in float64."""
    w = [one.astype(numpy.float64) for one in w]
    hidden = x @ w[0] + w[1]
    return hidden, numpy.maximum(hidden, 0) @ w[2] + w[3]


GRID = numpy.stack(numpy.meshgrid(*[numpy.linspace(-1, 1, 41)] * 2), -1).reshape(-1, 2)


@pytest.fixture
def save(tmp_path: Path):
    def write(name: str, w: list[numpy.ndarray], opset: int = 13, kind: type = numpy.float32) -> Path:
        tensors = [onnx.numpy_helper.from_array(one.astype(kind), key) for one, key in zip(w, "WbVc")]
        make, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
        nodes = [
            make("MatMul", ["x", "W"], ["m"]),
            make("Add", ["m", "b"], ["hid"]),
            make("Relu", ["hid"], ["r"]),
            make("MatMul", ["r", "V"], ["n"]),
            make("Cast", ["r"], ["whole"], to=onnx.TensorProto.INT64),
            make("Add", ["n", "c"], ["y"]),
        ]
        element = onnx.helper.np_dtype_to_tensor_dtype(numpy.dtype(kind))
        graph = onnx.helper.make_graph(
            nodes, "g", [value("x", element, ["batch", 2])], [value("y", element, [1, 2])], tensors
        )
        imports = [onnx.helper.make_opsetid("", opset)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=imports, ir_version=8), tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def verify(invoke, tmp_path: Path):
    def call(text: str, *arguments: object):
        (tmp_path / "q.vnnlib").write_text(text)
        return invoke("verify", tmp_path / "q.vnnlib", "--timeout", 120, *arguments)

    return call


def assignment(output: str) -> dict[str, numpy.ndarray]:
    """The verdict's variables, by name, in the order of the output."""
    found: dict[str, numpy.ndarray] = {}
    lines = output.splitlines()[1:]
    while lines:
        name, element, shape = lines.pop(0).split()
        assert element == "float32"
        extents = [int(extent) for extent in shape.strip("[]").split(",")]
        size = int(numpy.prod(extents))
        found[name] = numpy.array([float(line) for line in lines[:size]]).reshape(extents)
        lines = lines[size:]
    return found


def test_two_networks_at_one_point(save, verify, tmp_path) -> None:
    """The largest difference of outputs is found by brute force; the networks are of different versions."""
    w, v = weights(), weights(1.01)
    networks = [f"--network=f={save('f.onnx', w)}", f"--network=g={save('g.onnx', v, opset=17)}"]
    gap = (run(w, GRID)[1] - run(v, GRID)[1])[:, 0].max()
    for threshold, verdict in ((gap - 1e-3, "sat"), (gap + 1e-2, "unsat")):
        text = PAIR + box("X", "U") + TIES + f"(assert (>= (- Y[0,0] Z[0,0]) {threshold:.9f}))"
        result = verify(text, *networks, "--json", tmp_path / f"{verdict}.json")
        assert result.stdout.split("\n")[0] == verdict, result.output
        if verdict == "sat":
            found = assignment(result.stdout)
            assert list(found) == ["X", "H", "Y", "U", "Z"]
            assert (found["X"] == found["U"]).all()
            assert found["Y"][0, 0] - found["Z"][0, 0] >= threshold
            assert numpy.allclose(found["H"], run(w, found["X"])[0], atol=1e-5)


def test_hidden_values_products_and_inputs_beside_outputs(save, verify) -> None:
    """y₀ x₁ where the second hidden value is at least 0.25, and no input there makes it too large."""
    path, w = save("f.onnx", weights()), weights()
    hidden, y = run(w, GRID)
    most = (y[:, 0] * GRID[:, 1])[hidden[:, 1] >= 0.25].max()
    for threshold, verdict in ((most - 0.1, "sat"), (most + 0.3, "unsat")):
        text = QUERY + box("X") + f"(assert (>= H[0,1] 0.25))(assert (>= (* Y[0,0] X[0,1]) {threshold:.9f}))"
        result = verify(text, "--network", f"f={path}")
        assert result.stdout.split("\n")[0] == verdict, result.output
        if verdict == "sat":
            found = assignment(result.stdout)
            assert found["Y"][0, 0] * found["X"][0, 1] >= threshold and found["H"][0, 1] >= 0.25


def test_version_1_ties_inputs_to_outputs(save, invoke, tmp_path) -> None:
    text = "".join(f"(declare-const {kind}_{i} Real)" for kind in "XY" for i in (0, 1))
    text += "(assert (<= -1 X_0 1))(assert (<= -1 X_1 1))"
    gap = (run(weights(), GRID)[1][:, 0] - GRID[:, 0]).max()
    for threshold, verdict in ((gap - 0.05, "sat"), (gap + 0.2, "unsat")):
        (tmp_path / "p.vnnlib").write_text(text + f"(assert (>= (- Y_0 X_0) {threshold:.9f}))")
        result = invoke("verify", save("f.onnx", weights()), tmp_path / "p.vnnlib", "--timeout", 120)
        assert result.stdout.split("\n")[0] == verdict, result.output


def test_an_equal_network_has_no_model_of_its_own(save, verify) -> None:
    path = save("f.onnx", weights())
    text = PAIR.replace("isomorphic-to", "equal-to") + box("X", "U") + TIES + "(assert (>= (- Y[0,0] Z[0,0]) 0.001))"
    assert verify(text, "--network", f"f={path}").stdout == "unsat\n"
    refused = verify(text, "--network", f"f={path}", "--network", f"g={path}")
    assert refused.exit_code == 2 and "--network f=MODEL" in refused.stderr


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("X float32", "X float64", "float32"),
        ("Y float32 [1,2]", "Y float32 [1,3]", r"[1,2]"),
        ('"hid"', '"none"', "'none'"),
        ('"hid"', '"whole"', "is int64"),
        ("H float32 [1,3]", "H float32 [1,4]", "[any,3]"),
        (
            "(declare-output Y float32 [1,2])",
            "(declare-output Y float32 [1,2]) (declare-output W float32 [1])",
            "output",
        ),
    ],
)
def test_what_the_model_does_not_have_is_an_error(old, new, reason, save, verify) -> None:
    text = (QUERY + box("X") + "(assert (>= Y[0,0] 0.0))").replace(old, new)
    refused = verify(text, "--network", f"f={save('f.onnx', weights())}")
    assert refused.exit_code == 2 and refused.stdout == "" and reason in refused.stderr, refused.output


def test_a_type_that_is_not_the_models_is_an_error_without_hidden_values_too(save, verify) -> None:
    text = "(vnnlib-version <2.0>)(declare-network f (declare-input X {0} [1,2]) (declare-output Y {0} [1,2]))"
    text += box("X") + "(assert (>= Y[0,0] 100.0))"
    path = save("f.onnx", weights())
    refused = verify(text.format("float64"), "--network", f"f={path}")
    assert refused.exit_code == 2 and "float32, or as real" in refused.stderr
    assert verify(text.format("real"), "--network", f"f={path}").stdout == "unsat\n"


def test_networks_of_different_types_and_other_files_are_refused(save, verify, tmp_path) -> None:
    real = PAIR.replace("float32", "real") + box("X", "U") + "(assert (>= Y[0,0] Z[0,0]))"
    networks = [f"--network=f={save('f.onnx', weights())}", f"--network=g={save('d.onnx', weights(), kind=float)}"]
    mixed = verify(real, *networks)
    assert mixed.exit_code == 2 and "float32 and float64" in mixed.stderr
    torch.save(nn.Linear(2, 2), tmp_path / "m.pt")
    other = verify(QUERY + box("X") + "(assert (>= Y[0,0] 0.0))", "--network", f"f={tmp_path / 'm.pt'}")
    assert other.exit_code == 2 and "no ONNX file" in other.stderr


def test_the_verdict_on_two_networks_is_replayed(save, verify, invoke, tmp_path) -> None:
    networks = [f"--network=f={save('f.onnx', weights())}", f"--network=g={save('g.onnx', weights(1.01))}"]
    text = PAIR + box("X", "U") + TIES + "(assert (>= (- Y[0,0] Z[0,0]) 5.0))"
    assert verify(text, *networks, "--json", tmp_path / "r.json").stdout == "unsat\n"
    assert invoke("replay", tmp_path / "r.json").exit_code == 0
    save("g.onnx", weights(1.02))
    changed = invoke("replay", tmp_path / "r.json")
    assert changed.exit_code == 2 and "another file" in changed.stderr


def test_a_counterexample_as_files_of_tensors(save, verify, tmp_path) -> None:
    text = QUERY + box("X") + "(assert (>= H[0,1] 0.25))"
    arguments = ("--network", f"f={save('f.onnx', weights())}", "--serialise-assignments", tmp_path / "found")
    assert verify(text, *arguments).stdout == "sat\n"
    found = {}
    for path in (tmp_path / "found").iterdir():
        tensor = onnx.TensorProto.FromString(path.read_bytes())
        found[path.stem] = onnx.numpy_helper.to_array(tensor)
    assert {name: (array.dtype.name, array.shape) for name, array in found.items()} == {
        "X": ("float32", (1, 2)), "H": ("float32", (1, 3)), "Y": ("float32", (1, 2)),
    }  # fmt: skip
    assert found["H"][0, 1] >= 0.25 and numpy.allclose(found["H"], run(weights(), found["X"])[0], atol=1e-5)
    again = verify(text, *arguments)
    assert again.exit_code == 2 and "empty folder" in again.stderr


def _identity(sparse: bool = False) -> bytes:
    """A network whose inner value's shape is computed, with a sparse tensor if wanted."""
    make, value, kind = onnx.helper.make_node, onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    nodes = [make("Shape", ["x"], ["s"]), make("Reshape", ["x", "s"], ["hid"]), make("Relu", ["hid"], ["y"])]
    tensors = [onnx.helper.make_tensor("w", kind, [1], [1.0]), onnx.helper.make_tensor("", 7, [1], [0])]
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [value("x", kind, [1, 2])],
        [value("y", kind, [1, 2])],
        sparse_initializer=[onnx.helper.make_sparse_tensor(*tensors, [2])] if sparse else [],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 1)])
def test_shapes_that_a_model_computes_are_compared_with_declared_ones(shape: tuple[int, ...]) -> None:
    """Entries of values behind one of another size would be taken for each other."""
    hidden = Declared("H", "float32", shape, "hid")
    with pytest.raises(InvalidInputError, match="'H' with the shape"):
        compose([Part(read_model("n.onnx", _identity()), None, (hidden,), None)], [])


def test_sparse_tensors_are_refused_in_a_composed_network_too() -> None:
    hidden = Declared("H", "float32", (1, 2), "hid")
    content = compose([Part(read_model("n.onnx", _identity(sparse=True)), None, (hidden,), None)], [])
    with pytest.raises(ModelFileError, match="holds sparse tensors"):
        load_onnx_bytes("n.onnx", content)


def test_runs_of_equally_many_factors() -> None:
    assert _runs([(1,), (2,), (1, 2), (3,), (1, 1), (2, 2)]) == [2, 3, 4, 6]


def test_what_is_supported(invoke) -> None:
    assert invoke("supports", "--onnx-element-types").stdout == "real\n"
    assert invoke("supports", "--multiple-network-theories").stdout.split() == ["SNET", "MENET", "MINET", "MNET"]
    operators = invoke("supports", "--onnx-operators").stdout.split()
    assert {"Conv", "Gemm", "Relu"} <= set(operators) and "Loop" not in operators
    oldest, newest = map(int, invoke("supports", "--onnx-opset-versions").stdout.split())
    assert oldest < newest
    for arguments in ([], ["--vnnlib-versions", "--hidden-node-theories"]):
        assert invoke("supports", *arguments).exit_code == 2
    assert invoke("--name").stdout == "autodual\n"


def test_python_says_what_to_do_with_a_composed_property(save, tmp_path) -> None:
    (tmp_path / "q.vnnlib").write_text(QUERY + box("X") + "(assert (>= Y[0,0] 0.0))")
    dual = autodual.compile_dual(autodual.load_onnx(save("f.onnx", weights())))
    with pytest.raises(InvalidInputError, match="hidden values"):
        autodual.verify(dual, autodual.load_property(tmp_path / "q.vnnlib"))
