"""Folding: an operator whose operands are all constant is evaluated once, when the file is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from autodual.errors import AutodualError, reason_of
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.file_limits import Budget
from autodual.frontend.onnx.operands import Static
from autodual.frontend.onnx.runtime import find_runtime
from autodual.frontend.onnx.single import alone, multiplications, operand_names, results
from autodual.frontend.onnx.stored_tensors import array_of

if TYPE_CHECKING:
    import onnx

_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)
_BOUNDED = frozenset({"NonZero", "Unique", "Compress", "DequantizeLinear", "QuantizeLinear"})
"""Operators whose result may have a shape that only running them tells, but few entries for each of their operands'."""
_PER_ENTRY = 8
_BYTES = 8
"""Bytes of an entry of the largest types."""


def refuse_random(op: str) -> None:
    """Refuse operators whose result is random."""
    if op in _RANDOM:
        raise Unsupported("its result is random, so the network has no definite output")


def folded(
    name: str,
    node: onnx.NodeProto,
    opsets: Sequence[onnx.OperatorSetIdProto],
    operands: Sequence[Static | None],
    budget: Budget,
) -> Sequence[Any]:
    """The results of an operator on constants in the file `name`.

    Raises:
        Unsupported: they cannot be computed.
        ModelFileError: they would be far larger than the file, or a constant is damaged.
    """
    if node.op_type == "Identity":
        return operands
    if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
        return [Static(array_of(name, node.attribute[0].t))]
    try:
        return fold(node, opsets, operands, budget)
    except (Unsupported, AutodualError):
        raise
    except Exception as error:
        raise Unsupported(f"its constant operands cannot be folded: {reason_of(error)}") from error


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
    model = alone(node, opsets, operands)
    entries = sum(_entries(node.op_type, shape, operands) for shape in results(model))
    budget.add_constant(_BYTES * entries)
    budget.add_work(multiplications(node, operands, entries))
    named = zip(operand_names(operands), operands, strict=True)
    found = find_runtime(model).run({name: operand.array for name, operand in named if operand is not None})
    by_name = dict(zip((name for name in node.output if name), found, strict=True))
    return tuple(Static(np.asarray(by_name[name])) if name else None for name in node.output)


def _entries(op: str, shape: tuple[int, ...] | None, operands: Sequence[Static | None]) -> int:
    """Entries of one result."""
    if shape is not None:
        return prod(shape)
    if op not in _BOUNDED:
        raise Unsupported("how large its result is shows only when it runs")
    return _PER_ENTRY * sum(operand.array.size for operand in operands if operand is not None)
