"""The smallest ONNX file with a nonlinearity."""

from __future__ import annotations

from pathlib import Path

import pytest


def write_relu(path: Path) -> None:
    """y = ReLU(x) for x and y [1, 1]."""
    onnx = pytest.importorskip("onnx")
    value, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value("x", kind, [1, 1])], [value("y", kind, [1, 1])])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
