"""Rules of quantisation: rounding to a grid, and back from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, fixed, placed
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.ir.ops import Clamp, Round


@onnx_op("QuantizeLinear")
def quantize(builder: OnnxBuilder, attributes: Attributes, x: Branch, scale: Value, zero: Any = None) -> Branch:
    """x / scale rounded, moved by the zero point and clipped to the whole numbers of its type."""
    target = np.dtype(np.uint8) if zero is None else fixed(zero, "zero point").dtype
    if target.kind not in "iu" or attributes.get("output_dtype", 0):
        raise Unsupported(f"it quantises to {target}; whole numbers whose type the zero point gives are supported")
    width = _along(attributes, fixed(scale, "scale"), x)
    if not (width.array > 0).all():
        raise Unsupported("its scale is not positive")
    rounded = builder.unary(Round(), builder.affine(x, factor=Static(1 / width.array.astype(np.float64))))
    moved = rounded if zero is None else builder.affine(rounded, offset=_along(attributes, zero, x))
    limits = np.iinfo(target)
    clipped = builder.unary(Clamp(float(limits.min), float(limits.max)), moved)
    return Branch(clipped.node, x.shape, target)


@onnx_op("DequantizeLinear")
def dequantize(builder: OnnxBuilder, attributes: Attributes, x: Branch, scale: Value, zero: Any = None) -> Branch:
    """(x - zero point) · scale."""
    width = _along(attributes, fixed(scale, "scale"), x)
    moved = x
    if zero is not None:
        moved = builder.affine(x, offset=Static(-_along(attributes, fixed(zero, "zero point"), x).array))
    result = builder.affine(moved, factor=width)
    return Branch(result.node, x.shape, width.dtype)


def _along(attributes: Attributes, x: Static, like: Branch) -> Static:
    """One number, or one for each entry of an axis, in floating form that broadcasts."""
    if attributes.get("block_size", 0):
        raise Unsupported("it quantises by blocks")
    array = x.array.astype(np.float64 if x.dtype.kind in "iu" else x.dtype)
    if array.size == 1:
        return Static(array.reshape(()))
    (place,) = placed((attributes.get("axis", 1),), len(like.shape))
    return Static(array.reshape([-1 if axis == place else 1 for axis in range(len(like.shape))]))
