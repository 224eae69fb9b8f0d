"""Operators whose operands are all constant, evaluated once at load."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from autodual.frontend.builder import Unsupported
from autodual.frontend.onnx.limits import Budget
from autodual.frontend.onnx.runtime import find_runtime
from autodual.frontend.onnx.values import Static

if TYPE_CHECKING:
    import onnx

_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)
_BOUNDED = frozenset({"NonZero", "Unique", "Compress", "DequantizeLinear", "QuantizeLinear"})
"""Operators whose result may have a shape that only running them tells, but few entries for each of their operands'."""
_PER_ENTRY = 8
_CONTRACTING = re.compile("MatMul|Conv|Pool|Einsum|LRN|DFT|STFT|Det|RNN|LSTM|GRU|Attention|Roi|Suppression")
"""Operators for each entry of whose results many entries of their operands are read."""
_SMALL = 1024
"""Entries of operands that may be shapes and sizes, which decide how large results are."""


def refuse_random(op: str) -> None:
    """Refuse operators whose result is random."""
    if op in _RANDOM:
        raise Unsupported("its result is random, so the network has no definite output")


def fold(
    node: onnx.NodeProto,
    opsets: Sequence[onnx.OperatorSetIdProto],
    operands: Sequence[Static | None],
    budget: Budget,
) -> tuple:
    """The results of an operator on constants, as an ONNX runtime computes them.

    Raises:
        ModelFileError: they would be far larger than the file; nothing is computed then.
    """
    refuse_random(node.op_type)
    if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
        raise Unsupported("it runs other operators, perhaps without end")
    names = [f"operand_{place}" if value is not None else "" for place, value in enumerate(operands)]
    feeds = {name: value.array for name, value in zip(names, operands, strict=True) if value is not None}
    model = _alone(node, opsets, names, feeds)
    size, entries = _claim(model, node.op_type, feeds)
    budget.add_constant(size)
    budget.add_work(_work(node.op_type, list(feeds.values()), entries))
    found = find_runtime(model).run(feeds)
    by_name = dict(zip((name for name in node.output if name), found, strict=True))
    return tuple(Static(np.asarray(by_name[name])) if name else None for name in node.output)


def _alone(
    node: onnx.NodeProto,
    opsets: Sequence[onnx.OperatorSetIdProto],
    names: Sequence[str],
    feeds: dict[str, np.ndarray],
) -> onnx.ModelProto:
    """A model of one operator, whose inputs are its operands."""
    import onnx
    from onnx import helper, numpy_helper

    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    del alone.input[:]
    alone.input.extend(names)
    graph = helper.make_graph(
        [alone],
        "constant",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in feeds.items()],
        [onnx.ValueInfoProto(name=name) for name in node.output if name],
        [numpy_helper.from_array(array, name) for name, array in feeds.items() if 0 < array.size <= _SMALL],
    )
    return helper.make_model(graph, opset_imports=list(opsets), ir_version=8)


def _claim(model: onnx.ModelProto, op: str, feeds: dict[str, np.ndarray]) -> tuple[int, int]:
    """Bytes and entries of what an operator will make, as ONNX' own inference of shapes tells without running it."""
    from onnx import shape_inference

    found = shape_inference.infer_shapes(model, data_prop=True).graph.output
    size = entries = 0
    for end in found:
        count = _entries(end)
        if count is None:
            if op not in _BOUNDED:
                raise Unsupported("how large its result is shows only when it runs")
            count = _PER_ENTRY * sum(array.size for array in feeds.values())
        entries += count
        size += 8 * count
    return size, entries


def _entries(end: onnx.ValueInfoProto) -> int | None:
    """Entries of a result; None if its shape is not known."""
    shape = end.type.tensor_type.shape.dim
    if not end.type.tensor_type.HasField("shape") or not all(extent.HasField("dim_value") for extent in shape):
        return None
    if any(extent.dim_value < 0 for extent in shape):
        raise Unsupported("its result would have a negative extent")
    return prod(extent.dim_value for extent in shape)


def _work(op: str, operands: Sequence[np.ndarray], entries: int) -> int:
    """About how many multiplications an operator needs for so many entries."""
    if op in ("MatMul", "Gemm"):
        return entries * max(max(operands[0].shape, default=1), 1)
    return entries * max(array.size for array in operands) if _CONTRACTING.search(op) else entries
