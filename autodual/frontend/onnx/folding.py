"""Operators whose operands are all constant, evaluated once at load."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from autodual.frontend.builder import Unsupported
from autodual.frontend.onnx.runtime import find_runtime
from autodual.frontend.onnx.values import Static

if TYPE_CHECKING:
    import onnx

_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)
_LARGEST = 2**27
"""Entries that a folded constant may have: beyond it a small file would fill the memory."""


def refuse_random(op: str) -> None:
    """Refuse operators whose result is random."""
    if op in _RANDOM:
        raise Unsupported("its result is random, so the network has no definite output")


def fold(node: onnx.NodeProto, opsets: Sequence[onnx.OperatorSetIdProto], operands: Sequence[Static | None]) -> tuple:
    """The results of an operator on constants, as an ONNX runtime computes them."""
    import onnx
    from onnx import helper

    refuse_random(node.op_type)
    _refuse_huge(node.op_type, operands)
    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    names = [f"operand_{place}" if value is not None else "" for place, value in enumerate(operands)]
    del alone.input[:]
    alone.input.extend(names)
    results = [name for name in node.output if name]
    feeds = {name: value.array for name, value in zip(names, operands, strict=True) if value is not None}
    graph = helper.make_graph(
        [alone],
        "constant",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in feeds.items()],
        [onnx.ValueInfoProto(name=name) for name in results],
    )
    model = helper.make_model(graph, opset_imports=list(opsets), ir_version=8)
    _, run = find_runtime(model)
    found = run(feeds)
    by_name = dict(zip(results, found, strict=True))
    return tuple(Static(np.asarray(by_name[name])) if name else None for name in node.output)


def _refuse_huge(op: str, operands: Sequence[Static | None]) -> None:
    """Refuse constants that are far larger than the file that describes them."""
    arrays = [None if value is None else value.array for value in operands]
    if not arrays or arrays[0] is None:
        return
    size = 0.0
    if op == "ConstantOfShape":
        size = prod(float(extent) for extent in arrays[0].reshape(-1))
    elif op in ("Expand", "Tile") and len(arrays) > 1 and arrays[1] is not None:
        size = float(arrays[0].size) * prod(float(extent) for extent in arrays[1].reshape(-1))
    elif op == "Range" and len(arrays) == 3 and arrays[1] is not None and arrays[2] is not None:
        start, limit, delta = (float(np.asarray(array).reshape(())) for array in arrays)
        size = abs((limit - start) / delta) if delta else 0.0
    elif op == "OneHot" and len(arrays) > 1 and arrays[1] is not None:
        size = float(arrays[0].size) * float(arrays[1].reshape(-1)[0])
    if size > _LARGEST:
        raise Unsupported(f"it makes a constant of {size:.3g} entries")
