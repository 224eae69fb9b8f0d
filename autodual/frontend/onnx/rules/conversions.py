"""Rules of conversions between types, and of remainders."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from autodual.frontend import compositions
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, fixed
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.rules.comparisons import truth
from autodual.ir.ops import Cast, Remainder

_TYPES = {1: "float32", 10: "float16", 11: "float64", 9: "bool", 6: "int32", 7: "int64", 2: "uint8", 3: "int8"}
_BFLOAT16 = 16


@onnx_op("Cast", "CastLike")
def cast(builder: OnnxBuilder, attributes: Attributes, x: Value, like: Any = None) -> Value:
    """To a floating type the nearest number, to whole numbers towards zero, to truth values x ≠ 0."""
    if like is None and attributes.get("to") == _BFLOAT16 and isinstance(x, Branch):
        # What follows is held as float32, which has all numbers of this type.
        rounded = builder.unary(Cast(torch.bfloat16), x)
        return Branch(rounded.node, x.shape, np.dtype(np.float32))
    name = str(like.dtype) if like is not None else _TYPES.get(attributes.get("to"))
    if name is None:
        raise Unsupported(f"it converts to the ONNX type number {attributes.get('to')}")
    target = np.dtype(name)
    if isinstance(x, Static):
        return Static(x.array.astype(target))
    if target.kind == "b":
        return _not_zero(builder, x)
    if target.kind in "iu":
        return _whole(builder, x, target)
    # float16 does not hold all whole numbers; of truth values it says in what the network goes on.
    if target.itemsize < (x.dtype.itemsize if x.dtype.kind == "f" else 4):
        return Branch(builder.unary(Cast(getattr(torch, name)), x).node, x.shape, target)
    return Branch(x.node, x.shape, target)


def _not_zero(builder: OnnxBuilder, x: Branch) -> Branch:
    if x.dtype.kind == "b":
        return x
    return truth(builder, builder.branch(compositions.nonzero(builder, x.node), x.shape))


def _whole(builder: OnnxBuilder, x: Branch, target: np.dtype) -> Branch:
    narrow = target.kind == "u" or target.itemsize < min(x.dtype.itemsize, 4)
    if narrow and x.dtype.kind != "b":
        raise Unsupported(f"it converts to {target}, where numbers that are too large or negative wrap around")
    if x.dtype.kind != "f":
        return Branch(x.node, x.shape, target)
    return builder.branch(compositions.truncated(builder, x.node), x.shape, target)


@onnx_op("Mod")
def remainder(builder: OnnxBuilder, attributes: Attributes, x: Value, y: Value) -> Branch:
    """What division leaves: with the divisor's sign, or, with fmod=1, with the sign of x."""
    divisor = fixed(y, "divisor")
    assert isinstance(x, Branch)
    if not divisor.array.all():
        raise Unsupported("it divides by zero")
    shape = tuple(np.broadcast_shapes(x.shape, divisor.shape))
    op = Remainder(builder.beside(divisor, shape), truncated=bool(attributes.get("fmod", 0)))
    return builder.branch(builder.emit(op, builder.node(x, shape)), shape)
