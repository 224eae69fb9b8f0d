"""Operators whose operands are all constant, evaluated once at load."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from autodual.frontend.builder import Unsupported
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
    """The results of an operator on constants, by the reference implementation that comes with onnx."""
    import onnx
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    refuse_random(node.op_type)
    _refuse_huge(node.op_type, operands)
    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    names = [f"operand_{place}" if value is not None else "" for place, value in enumerate(operands)]
    del alone.input[:]
    alone.input.extend(names)
    results = [name for name in node.output if name]
    graph = helper.make_graph(
        [alone],
        "constant",
        [onnx.ValueInfoProto(name=name) for name in names if name],
        [onnx.ValueInfoProto(name=name) for name in results],
    )
    model = helper.make_model(graph, opset_imports=list(opsets))
    feeds = {name: value.array for name, value in zip(names, operands, strict=True) if value is not None}
    with np.errstate(all="ignore"):
        found = dict(zip(results, ReferenceEvaluator(model).run(None, feeds), strict=True))
    return tuple(Static(np.asarray(found[name])) if name else None for name in node.output)


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
