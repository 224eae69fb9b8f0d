"""Rules of comparisons, of truth values, and of selection by them.

Truth values that depend on the input are branches of 0 and 1.
"""

from __future__ import annotations

import numpy as np

from autodual.frontend import compositions
from autodual.frontend.onnx.attributes import Attributes
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.rules.arithmetic import add, multiply, subtract


def _step(inclusive: bool, flipped: bool):
    def rule(builder: OnnxBuilder, attributes: Attributes, x: Value, y: Value) -> Branch:
        """1 where the difference of the operands is positive (or zero, if inclusive), else 0."""
        gap = subtract(builder, attributes, *((y, x) if flipped else (x, y)))
        holds = compositions.positive(builder, gap.node, inclusive=inclusive)
        return truth(builder, builder.branch(holds, gap.shape))

    return rule


onnx_op("Greater")(_step(inclusive=False, flipped=False))
onnx_op("GreaterOrEqual")(_step(inclusive=True, flipped=False))
onnx_op("Less")(_step(inclusive=False, flipped=True))
onnx_op("LessOrEqual")(_step(inclusive=True, flipped=True))


@onnx_op("Equal")
def equal(builder: OnnxBuilder, attributes: Attributes, x: Value, y: Value) -> Branch:
    """Not (x - y ≠ 0)."""
    gap = subtract(builder, attributes, x, y)
    different = compositions.nonzero(builder, gap.node)
    return truth(builder, builder.branch(compositions.negation(builder, different), gap.shape))


@onnx_op("Not")
def negation(builder: OnnxBuilder, _: Attributes, x: Branch) -> Branch:
    return truth(builder, builder.branch(compositions.negation(builder, x.node), x.shape))


@onnx_op("And")
def conjunction(builder: OnnxBuilder, _: Attributes, x: Value, y: Value) -> Branch:
    nodes, shape = builder.alike(x, y)
    return truth(builder, builder.branch(compositions.conjunction(builder, *nodes), shape))


@onnx_op("Or")
def disjunction(builder: OnnxBuilder, _: Attributes, x: Value, y: Value) -> Branch:
    nodes, shape = builder.alike(x, y)
    return truth(builder, builder.branch(compositions.disjunction(builder, *nodes), shape))


@onnx_op("Xor")
def exclusive(builder: OnnxBuilder, _: Attributes, x: Value, y: Value) -> Branch:
    nodes, shape = builder.alike(x, y)
    return truth(builder, builder.branch(compositions.exclusive(builder, *nodes), shape))


@onnx_op("IsNaN", "IsInf")
def never(builder: OnnxBuilder, _: Attributes, x: Branch) -> Static:
    """False: values are real numbers here. Where a value may not exist its bounds are not finite either."""
    return Static(np.zeros(x.shape, dtype=bool))


@onnx_op("Where")
def where(builder: OnnxBuilder, attributes: Attributes, condition: Value, x: Value, y: Value) -> Value:
    """x where the condition holds, else y: y + condition · (x - y), or masks where the condition is fixed."""
    shape = tuple(np.broadcast_shapes(condition.shape, x.shape, y.shape))
    dtype = x.dtype if isinstance(x, Branch) else y.dtype
    if isinstance(condition, Static):
        held = np.broadcast_to(condition.array.astype(bool), shape)
        return _masked(builder, held, x, y, shape, dtype)
    if isinstance(x, Static) and isinstance(y, Static):
        difference = Static(np.asarray(x.array - y.array))
        result = builder.affine(builder.branch(builder.node(condition, shape), shape), difference, y)
    else:
        gap = subtract(builder, attributes, x, y)
        result = add(builder, attributes, y, multiply(builder, attributes, condition, gap))
    return Branch(result.node, result.shape, dtype)


def _masked(
    builder: OnnxBuilder, held: np.ndarray, x: Value, y: Value, shape: tuple[int, ...], dtype: np.dtype
) -> Value:
    """x where a constant condition holds, else y; a branch that is selected nowhere is dropped."""
    for everywhere, value in ((held.all(), x), (not held.any(), y)):
        if everywhere:
            if isinstance(value, Static):
                return Static(np.broadcast_to(value.array, shape))
            return builder.branch(builder.node(value, shape), shape, value.dtype)
    parts: list[Branch] = []
    offset = None
    for mask, value in ((held, x), (~held, y)):
        if isinstance(value, Static):
            offset = Static(np.where(mask, value.array, 0).astype(value.dtype))
        else:
            parts.append(builder.affine(value, factor=Static(mask.astype(np.float32))))
    if offset is not None:
        result = builder.affine(parts[0], offset=offset)
    else:
        result = add(builder, Attributes(0), *parts)
    return Branch(result.node, result.shape, dtype)


def truth(builder: OnnxBuilder, x: Branch) -> Branch:
    """A branch of 0 and 1 as truth values."""
    return Branch(x.node, x.shape, np.dtype(np.bool_))
