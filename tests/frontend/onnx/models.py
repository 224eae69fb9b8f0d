"""Small ONNX models for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

Shape = Sequence["int | str | None"]


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Shape],
    constants: Mapping[str, np.ndarray] | None = None,
    *,
    opset: int = 17,
    output: str = "y",
) -> onnx.ModelProto:
    """A model of floating inputs and one output `y` whose shape is left open."""
    graph = helper.make_graph(
        list(nodes),
        "network",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def node(kind: str, inputs: Sequence[str], output: str | Sequence[str] = "y", **attributes: object) -> onnx.NodeProto:
    """One operator."""
    outputs = [output] if isinstance(output, str) else list(output)
    return helper.make_node(kind, list(inputs), outputs, name=f"/{kind}/{outputs[0]}", **attributes)


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    """Normally distributed float32 numbers."""
    return np.random.default_rng(seed + sum(shape)).standard_normal(shape).astype(np.float32)
