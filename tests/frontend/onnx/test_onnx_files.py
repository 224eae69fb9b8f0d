"""Weights in other files, local functions, and which part of a file the runtime runs for comparison."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper

import autodual
from autodual.errors import ModelFileError, TraceError
from autodual.frontend.onnx import load_onnx_bytes, runtime
from autodual.frontend.onnx.messages import tensors
from autodual.frontend.onnx.model_file import read_model
from autodual.properties import load_property

from .models import model, node, onnx, weights

LAYERS = [node("MatMul", ["x", "w"], "h"), node("Add", ["h", "b"], "s"), node("Relu", ["s"])]
CONSTANTS = {"w": weights(4, 3), "b": weights(3)}


def network(**options) -> onnx.ModelProto:
    return model(LAYERS, {"x": ["N", 4]}, CONSTANTS, **options)


def save(proto: onnx.ModelProto, path: Path, location: str = "weights.data", **options) -> None:
    """The model with all tensors, in attributes too, in another file."""
    onnx.save(
        proto, path, save_as_external_data=True, location=location, size_threshold=0, convert_attribute=True, **options
    )


def with_function(domain: str = "own", name: str = "Layer", opset: int = 17) -> onnx.ModelProto:
    """One call of a function that negates: y = -relu(x)."""
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    body = [node("Relu", ["a"], "p"), node("Neg", ["p"], "b")]
    function = helper.make_function(domain, name, ["a"], ["b"], body, imports)
    proto = model([helper.make_node(name, ["x"], ["y"], domain=domain)], {"x": ["N", 4]})
    proto.functions.append(function)
    proto.opset_import.append(helper.make_opsetid("own", 1))
    return proto


# --- weights in other files ------------------------------------------------------------------------------------------


def test_weights_are_read_from_the_models_folder_whatever_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(network(), tmp_path / "net.onnx")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "weights.data").write_bytes(bytes(60))
    monkeypatch.chdir(elsewhere)
    loaded = autodual.load_onnx(tmp_path / "net.onnx")
    x = torch.randn(5, 4)
    expected = (x @ torch.from_numpy(CONSTANTS["w"]) + torch.from_numpy(CONSTANTS["b"])).relu()
    torch.testing.assert_close(loaded(x), expected)
    (file,) = loaded.files
    assert file.path == tmp_path / "weights.data"
    assert file.sha256 == hashlib.sha256(file.path.read_bytes()).hexdigest()
    assert loaded.agreement is not None and loaded.agreement.error < 1e-6


def test_weights_in_attributes_branches_and_functions_are_read_too(tmp_path: Path) -> None:
    """The constants lie in places that are found only by a walk over all parts of the file."""
    one = helper.make_tensor("one", onnx.TensorProto.FLOAT, [4], np.ones(4, np.float32))

    def constant(output: str) -> onnx.NodeProto:
        return node("Constant", [], output, value=one)

    def branch(kind: str) -> onnx.GraphProto:
        ends = [helper.make_tensor_value_info(f"{kind}y", 1, None)]
        return helper.make_graph([constant(f"{kind}c"), node(kind, ["f", f"{kind}c"], f"{kind}y")], kind, [], ends)

    proto = with_function()
    proto.functions[0].node.extend([constant("c"), node("Add", ["b", "c"], "d")])
    proto.functions[0].output[0] = "d"
    proto.graph.node[0].output[0] = "f"
    chosen = node("If", ["t"], "y", then_branch=branch("Add"), else_branch=branch("Mul"))
    proto.graph.node.extend([node("Constant", [], "t", value=onnx.numpy_helper.from_array(np.array(True))), chosen])
    data = b""
    for tensor in [part for part in tensors(proto) if part.name == "one"]:
        tensor.ClearField("float_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", "all"), ("offset", str(len(data))), ("length", "16")):
            tensor.external_data.add(key=key, value=value)
        data += np.full(4, len(data) / 16 + 1, np.float32).tobytes()
    assert len(data) == 3 * 16
    (tmp_path / "all").write_bytes(data)
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    loaded = autodual.load_onnx(tmp_path / "net.onnx")
    x = torch.randn(3, 4)
    added = loaded(x) + x.relu()
    assert any(torch.allclose(added, torch.tensor(total)) for total in (1.0 + 2, 1.0 + 3, 2.0 + 3))
    assert loaded.agreement is not None and len(loaded.files) == 1


def test_bytes_of_a_model_with_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    save(network(), tmp_path / "net.onnx")
    with pytest.raises(ModelFileError, match="load it by its path"):
        load_onnx_bytes("net.onnx", (tmp_path / "net.onnx").read_bytes())


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    save(network(), tmp_path / "net.onnx", "real")
    (tmp_path / "sub").mkdir()
    (tmp_path / "real").rename(tmp_path / "sub" / "moved")
    (tmp_path / "real").symlink_to("sub/moved")
    assert autodual.load_onnx(tmp_path / "net.onnx").output_shape == (3,)


# --- functions -------------------------------------------------------------------------------------------------------


def test_the_runtime_gets_the_files_own_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime gets the bytes of the file, not the functions inlined by the reader."""
    given = []
    session = runtime.Session

    def recorded(content: bytes) -> runtime.Session:
        given.append(content)
        return session(content)

    monkeypatch.setattr(runtime, "Session", recorded)
    data = with_function().SerializeToString()
    loaded = load_onnx_bytes("net.onnx", data)
    assert given == [data]
    x = torch.randn(3, 4)
    torch.testing.assert_close(loaded(x), -x.relu())


@pytest.mark.parametrize(
    "domain, name", [("", "Relu"), ("ai.onnx", "Relu"), ("com.microsoft", "Gelu"), ("ai.onnx.ml", "X")]
)
def test_functions_may_not_replace_standard_operators(domain: str, name: str) -> None:
    with pytest.raises(ModelFileError, match=f"its function '{name}' is in the domain '{domain or 'ai.onnx'}'"):
        load_onnx_bytes("net.onnx", with_function(domain, name).SerializeToString())


def test_functions_of_another_version_are_refused() -> None:
    with pytest.raises(ModelFileError, match=r"version 17 .* 'Layer' version 12"):
        load_onnx_bytes("net.onnx", with_function(opset=12).SerializeToString())


def test_the_runtime_gets_only_the_operators_that_the_output_depends_on() -> None:
    """Unused operators are not checked, and might run forever."""
    proto = network()
    whole = read_model("net.onnx", proto.SerializeToString())
    assert whole.runnable("y") == whole.content
    proto.graph.node.append(node("ConstantOfShape", ["size"], "unread"))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1 << 40]), "size"))
    file = read_model("net.onnx", proto.SerializeToString())
    assert [entry.op_type for entry in onnx.load_from_string(file.runnable("y")).graph.node] == [
        "MatMul",
        "Add",
        "Relu",
    ]
    assert load_onnx_bytes("net.onnx", proto.SerializeToString()).agreement.error < 1e-6


# --- without onnxruntime ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opset", [8, 9, 13, 15])
def test_batch_norm_of_every_version_is_compared_without_onnxruntime(
    opset: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    constants = {"s": weights(2), "b": weights(2), "m": weights(2), "v": weights(2) ** 2 + 0.1}
    proto = model([node("BatchNormalization", ["x", *constants])], {"x": [1, 2, 3, 3]}, constants, opset=opset)
    loaded = load_onnx_bytes("net.onnx", proto.SerializeToString())
    assert loaded.agreement is not None and loaded.agreement.runtime.startswith("the reference of onnx")


def test_a_difference_from_the_reference_is_not_blamed_on_autodual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    from onnx.reference.ops.op_relu import Relu

    monkeypatch.setattr(Relu, "_run", lambda self, x: (np.abs(x) + 1,))
    with pytest.raises(TraceError, match="not known") as caught:
        load_onnx_bytes("net.onnx", network().SerializeToString())
    assert "fault of autodual" not in str(caught.value) and "pip install onnxruntime" in str(caught.value)


# --- without an example input ----------------------------------------------------------------------------------------


def test_verify_needs_no_example(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(network().SerializeToString())
    lines = [f"(declare-const X_{i} Real)" for i in range(4)] + [f"(declare-const Y_{i} Real)" for i in range(3)]
    lines += [f"(assert (>= X_{i} 0.0))(assert (<= X_{i} 1.0))" for i in range(4)] + ["(assert (<= Y_0 -1.0))"]
    (tmp_path / "goal.vnnlib").write_text("\n".join(lines))
    goal = load_property(tmp_path / "goal.vnnlib")
    dual = autodual.compile_dual(autodual.load_onnx(tmp_path / "net.onnx"))
    assert autodual.verify(dual, goal).status == "unsat"
    exported = torch.export.export(torch.nn.Linear(4, 3), (torch.rand(2, 4),))
    assert autodual.verify(autodual.compile_dual(exported), goal, timeout=5).status in ("sat", "unsat")


def test_several_inputs_are_joined_without_an_example() -> None:
    proto = model([node("Add", ["x", "z"])], {"x": ["N", 4], "z": ["N", 4]})
    dual = autodual.compile_dual(load_onnx_bytes("net.onnx", proto.SerializeToString()))
    point = torch.ones(2, 8)
    lower = dual.lower_bounds(point, autodual.LinfBall(0.5), torch.eye(4))
    torch.testing.assert_close(lower, torch.full((2, 4), 1.0))
