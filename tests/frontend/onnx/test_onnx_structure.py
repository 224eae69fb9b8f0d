"""Branches, functions, quantisation and other structure of whole files, compared with an ONNX runtime."""

from __future__ import annotations

import numpy as np
import pytest

from autodual.errors import UnsupportedOpsError
from autodual.frontend.onnx import load_onnx_bytes

from .models import assert_agrees, helper, model, node, numpy_helper, onnx, weights


def _branch(name: str, *layers: onnx.NodeProto) -> onnx.GraphProto:
    output = helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)
    bias = numpy_helper.from_array(weights(4), "bias")
    return helper.make_graph(list(layers), name, [], [output], [bias])


@pytest.mark.parametrize("condition", [True, False])
def test_a_fixed_condition_chooses_its_branch(condition: bool) -> None:
    then = _branch("then", node("Add", ["x", "bias"], "inner"), node("Relu", ["inner"], "out"))
    other = _branch("else", node("Mul", ["x", "bias"], "out"))
    layers = [node("If", ["c"], "h", then_branch=then, else_branch=other), node("Neg", ["h"])]
    proto = model(layers, {"x": [1, 4]}, {"c": np.array(condition)})
    assert_agrees(proto, {"x": [1, 4]})


def test_a_condition_on_the_input_is_refused() -> None:
    branch = _branch("branch", node("Relu", ["x"], "out"))
    layers = [
        node("ReduceSum", ["x"], "s", keepdims=0),
        node("Greater", ["s", "zero"], "c"),
        node("If", ["c"], then_branch=branch, else_branch=branch),
    ]
    proto = model(layers, {"x": [1, 4]}, {"zero": np.array(0, np.float32)})
    with pytest.raises(UnsupportedOpsError, match="which branch is taken depends"):
        load_onnx_bytes("net", proto.SerializeToString())


def test_functions_in_the_file_are_inlined() -> None:
    proto = model([node("Relu", ["x"], "h")], {"x": [1, 4]})
    proto.graph.node.append(helper.make_node("Twice", ["h"], ["y"], domain="local"))
    opset = helper.make_opsetid("", 17)
    double = helper.make_function("local", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [opset])
    proto.functions.append(double)
    proto.opset_import.append(helper.make_opsetid("local", 1))
    assert_agrees(proto, {"x": [1, 4]})


def test_initialisers_may_also_be_declared_as_inputs() -> None:
    proto = model([node("MatMul", ["x", "w"])], {"x": [1, 4], "w": [4, 3]}, {"w": weights(4, 3)})
    network = load_onnx_bytes("net", proto.SerializeToString())
    assert network.input_names == ("x",)


def test_names_that_are_invalid_in_modules() -> None:
    names = {"": weights(4), "a.b": weights(4), "a/b": weights(4), "1": weights(4), "training": weights(4)}
    names.pop("")
    layers, last = [], "x"
    for place, name in enumerate(names):
        layers.append(node("Mul", [last, name], f"::{place}/"))
        last = f"::{place}/"
    proto = model([*layers, node("Relu", [last])], {"x": [1, 4]}, names)
    assert_agrees(proto, {"x": [1, 4]})


def test_double_precision() -> None:
    proto = model([node("Mul", ["x", "c"])], {"x": [1, 4]}, {"c": weights(4).astype(np.float64)})
    for entry in (proto.graph.input[0], proto.graph.output[0]):
        entry.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    agreement = load_onnx_bytes("net", proto.SerializeToString()).agreement
    assert agreement is not None and agreement.error < 1e-12


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_quantisation(kind: type) -> None:
    for scale, zero, axis in ((np.array(0.05), np.array(3), 1), (np.array([0.05, 0.1, 0.02]), np.array([0, 3, 9]), 1)):
        layers = [
            node("QuantizeLinear", ["x", "s", "z"], "q", axis=axis),
            node("DequantizeLinear", ["q", "s", "z"], axis=axis),
        ]
        constants = {"s": scale.astype(np.float32), "z": zero.astype(kind)}
        assert_agrees(model(layers, {"x": [1, 3, 4]}, constants), {"x": [1, 3, 4]})


def test_quantised_weights_are_folded() -> None:
    layers = [node("DequantizeLinear", ["w", "s", "z"], "f"), node("MatMul", ["x", "f"])]
    constants = {
        "w": np.arange(12, dtype=np.int8).reshape(4, 3),
        "s": np.array(0.1, np.float32),
        "z": np.array(2, np.int8),
    }
    assert_agrees(model(layers, {"x": [1, 4]}, constants), {"x": [1, 4]})


def test_a_batch_inside_the_network() -> None:
    """Patches stacked along axis 0, a convolution of each, and an average over them."""
    layers = [
        node("Concat", ["x", "x", "c"], "stack", axis=0),
        node("Conv", ["stack", "w"], "h"),
        node("MaxPool", ["h"], "p", kernel_shape=[2, 2]),
        node("ReduceMean", ["p"], axes=[0]),
    ]
    constants = {"c": weights(1, 2, 4, 4), "w": weights(3, 2, 3, 3)}
    assert_agrees(model(layers, {"x": [1, 2, 4, 4]}, constants, opset=13), {"x": [1, 2, 4, 4]})
