"""Small ONNX models for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from autodual.frontend.onnx import load_onnx_bytes  # noqa: E402
from autodual.frontend.onnx.runtime import find_runtime  # noqa: E402

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


def assert_agrees(proto: onnx.ModelProto, inputs: Mapping[str, Sequence[int]], samples: int = 3) -> None:
    """The loaded network gives for a batch what the runtime gives for each sample."""
    network = load_onnx_bytes("model", proto.SerializeToString(), check=False)
    _, run = find_runtime(proto, ["y"])
    generator = np.random.default_rng(7)
    feeds = [
        {name: generator.standard_normal(shape).astype(np.float32) for name, shape in inputs.items()}
        for _ in range(samples)
    ]
    expected = np.stack([np.asarray(run(feed)[0]).reshape(-1) for feed in feeds])
    batch = [
        torch.from_numpy(np.stack([feed[name].reshape(shape) for feed in feeds]))
        for name, shape in zip(inputs, network.input_shapes, strict=True)
    ]
    found = network(*batch).detach()
    assert found.shape == (samples, *network.output_shape)
    np.testing.assert_allclose(found.reshape(samples, -1).numpy(), expected, rtol=1e-4, atol=2e-5)


def assert_operator_agrees(
    kind: str,
    inputs: Mapping[str, Sequence[int]],
    constants: Mapping[str, np.ndarray] | None = None,
    *,
    names: Sequence[str] | None = None,
    opset: int = 17,
    **attributes: object,
) -> None:
    """One operator whose operands are the inputs and then the constants, or `names`."""
    operands = [*inputs, *(constants or {})] if names is None else names
    assert_agrees(model([node(kind, operands, **attributes)], inputs, constants, opset=opset), inputs)
