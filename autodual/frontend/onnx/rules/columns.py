"""Rules of operators that are linear in their operand: a runtime computes their matrix from unit vectors."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from autodual.frontend.compositions import reshaped
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, fixed
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.runtime import find_runtime
from autodual.ir import Node
from autodual.ir.ops import Linear

_LARGEST = 2**24
"""Entries that a matrix may have."""


@onnx_op("GridSample")
def sampled_at(builder: OnnxBuilder, attributes: Attributes, x: Branch, grid: Value) -> Branch:
    """Values at fixed places between pixels: for each channel the same matrix."""
    places = fixed(grid, "grid")
    if places.shape[0] != 1 or x.shape[0] != 1:
        raise Unsupported("it samples several images at places of their own")
    channels, spatial = x.shape[1], x.shape[2:]
    size = prod(spatial)
    columns = _columns("GridSample", attributes, size, (1, size, *spatial), [places.array.astype(np.float64)])
    node = reshaped(builder, builder.full(x), (channels, size))
    return _applied(builder, node, columns.reshape(size, -1), (1, channels, *columns.shape[2:]))


@onnx_op("Col2Im")
def folded(builder: OnnxBuilder, attributes: Attributes, x: Branch, image: Value, block: Value) -> Branch:
    """Overlapping blocks `[B, C · block, L]` added up to an image: for each channel the same matrix."""
    extents, kernel = (fixed(value, "shape").array for value in (image, block))
    batch, wide, length = x.shape
    size = int(np.prod(kernel))
    channels = wide // size
    inner = size * length
    columns = _columns("Col2Im", attributes, inner, (inner, size, length), [extents, kernel])
    node = reshaped(builder, builder.full(x), (batch * channels, inner))
    return _applied(builder, node, columns.reshape(inner, -1), (batch, channels, *columns.shape[2:]))


def _columns(
    kind: str, attributes: Attributes, size: int, shape: tuple[int, ...], others: list[np.ndarray]
) -> np.ndarray:
    """What the operator makes of each of `size` unit vectors, which are its first operand of this shape, in float64."""
    from onnx import TensorProto, helper

    if size * size > _LARGEST:
        raise Unsupported(f"its matrix would have {size * size} entries")
    arrays = [np.eye(size).reshape(shape), *others]
    names = [f"operand_{place}" for place in range(len(arrays))]
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in zip(names, arrays, strict=True)
    ]
    result = helper.make_tensor_value_info("result", TensorProto.DOUBLE, None)
    node = helper.make_node(kind, names, ["result"], **attributes.values)
    graph = helper.make_graph([node], "columns", inputs, [result])
    opsets = [helper.make_opsetid("", attributes.opset)]
    _, run = find_runtime(helper.make_model(graph, opset_imports=opsets, ir_version=8))
    found: Any = run(dict(zip(names, arrays, strict=True)))[0]
    return np.asarray(found)


def _applied(builder: OnnxBuilder, x: Node, columns: np.ndarray, shape: tuple[int, ...]) -> Branch:
    """Each row of x times the matrix with these columns."""
    weight = builder.constant(Static(np.ascontiguousarray(columns.T)))
    node = builder.emit(Linear(weight, None), x, shape=(x.shape[0], columns.shape[1]))
    return builder.branch(node, shape)
