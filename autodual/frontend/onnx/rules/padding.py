"""Rules of padding and of masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodual.frontend.compositions import padded
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, fixed, placed, whole_numbers
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.rules.picking import picked_along


@onnx_op("Pad")
def pad(
    builder: OnnxBuilder,
    attributes: Attributes,
    x: Value,
    pads: Value | None = None,
    value: Value | None = None,
    axes: Value | None = None,
) -> Branch:
    """Padding with a constant, or with entries of the operand itself; negative pads crop."""
    amounts = attributes.axes(pads, "pads")
    if amounts is None or not isinstance(x, Branch):
        raise Unsupported("its pads are missing")
    rank = len(x.shape)
    chosen = placed(whole_numbers(axes, "axes"), rank) if axes is not None else tuple(range(rank))
    if len(amounts) != 2 * len(chosen):
        raise Unsupported(f"it has {len(amounts)} pads for {len(chosen)} axes")
    before, after = [0] * rank, [0] * rank
    for place, axis in enumerate(chosen):
        before[axis], after[axis] = amounts[place], amounts[place + len(chosen)]
    mode = attributes.get("mode", "constant")
    if mode == "constant":
        return _constant(builder, x, before, after, _level(attributes, value))
    if mode not in ("reflect", "edge", "wrap"):
        raise Unsupported(f"its mode '{mode}' is unknown")
    for axis in range(rank):
        if before[axis] or after[axis]:
            entries = list(range(x.shape[axis]))
            entries = entries[max(0, -before[axis]) : len(entries) - max(0, -after[axis])]
            grown = np.pad(entries, (max(0, before[axis]), max(0, after[axis])), mode=mode)
            x = picked_along(builder, x, axis, [int(entry) for entry in grown])
    return x


def _level(attributes: Attributes, value: Value | None) -> float:
    level = attributes.get("value", 0.0)
    if value is not None and fixed(value, "padding values").array.size:
        level = float(fixed(value, "padding values").array.reshape(()))
    if not np.isfinite(level):
        raise Unsupported("it pads with a number that is not finite")
    return level


def _constant(builder: OnnxBuilder, x: Branch, before: list[int], after: list[int], level: float) -> Branch:
    shape = [b + extent + a for b, extent, a in zip(before, x.shape, after, strict=True)]
    if x.dropped and not before[0] and not after[0]:
        return builder.branch(padded(builder, x.node, before[1:], after[1:], level), shape)
    return builder.branch(padded(builder, builder.full(x), before, after, level), shape)


@onnx_op("Trilu")
def triangle(builder: OnnxBuilder, attributes: Attributes, x: Value, diagonal: Any = None) -> Branch:
    """The upper or lower triangle of matrices; zero elsewhere."""
    assert isinstance(x, Branch)
    offset = 0 if diagonal is None else whole_numbers(diagonal, "diagonal")[0]
    ones = np.ones(x.shape[-2:], dtype=np.float32)
    mask = np.triu(ones, offset) if attributes.get("upper", 1) else np.tril(ones, offset)
    return builder.affine(x, factor=Static(mask))


@onnx_op("CenterCropPad")
def centred(builder: OnnxBuilder, attributes: Attributes, x: Branch, shape: Value) -> Branch:
    """Cut or padded with zeros to a shape, evenly on both sides of each axis; an odd entry goes to the end."""
    rank = len(x.shape)
    axes = placed(attributes.get("axes", tuple(range(rank))), rank)
    before, after = [0] * rank, [0] * rank
    for axis, extent in zip(axes, whole_numbers(shape, "shape"), strict=True):
        extra = extent - x.shape[axis]
        before[axis] = extra // 2 if extra > 0 else -(-extra // 2)
        after[axis] = extra - before[axis]
    return _constant(builder, x, before, after, 0.0)
