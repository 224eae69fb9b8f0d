"""Operators that move numbers: the samples' axis is followed through other shapes, orders and parts."""

from __future__ import annotations

import numpy as np

from autodual.frontend.onnx.attributes import placed
from autodual.frontend.onnx.batch.operation import Batched, Layout, Mixing, Operation
from autodual.frontend.onnx.batch.registry import batch_rule
from autodual.frontend.onnx.operands import Static

_SIZES_SINCE = 11
"""The operator set since which a resizing may state sizes, and has its factors behind a region."""


@batch_rule("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(operation: Operation) -> Layout:
    """All are written as the one shape that they make; this is where exporters write the batch size."""
    layout = operation.reshaped(operation.only().layout)
    shape = operation.for_one(operation.shapes[0], layout)
    node = operation.node
    node.op_type = "Reshape"
    del node.attribute[:], node.input[1:]
    node.input.append("")
    operation.replaced[1] = np.array(shape, dtype=np.int64)
    return layout


@batch_rule("Transpose")
def transpose(operation: Operation) -> Layout:
    """The samples' axis moves to where the permutation puts it."""
    x = operation.only()
    rank = len(x.shape)
    order = operation.attributes.get("perm", tuple(reversed(range(rank))))
    return Layout(rank - 1 - list(order).index(x.axis), x.layout.outer, x.layout.inner)


@batch_rule("Expand")
def expand(operation: Operation) -> Layout:
    """The target shape is replaced by that of one sample."""
    layout = operation.only().layout
    operation.replaced[1] = np.array(operation.for_one(operation.shapes[0], layout), dtype=np.int64)
    return layout


@batch_rule("Tile")
def tile(operation: Operation) -> Layout:
    x = operation.only()
    repeats = operation.axes(1, "repeats")
    if repeats is None or len(repeats) != len(x.shape) or repeats[x.axis] != 1:
        raise Mixing("it repeats the samples")
    return x.layout


@batch_rule("Concat")
def concatenate(operation: Operation) -> Layout:
    first = next(value for value in operation.operands if isinstance(value, Batched))
    (axis,) = placed((operation.attributes.get("axis"),), len(first.shape))
    if axis == first.axis:
        raise Mixing("it appends to the axis that counts the samples")
    return operation.aligned()


@batch_rule("Split")
def split(operation: Operation) -> tuple[Layout, ...]:
    x = operation.only()
    if placed((operation.attributes.get("axis", 0),), len(x.shape)) == (x.axis,):
        raise Mixing("it takes samples apart")
    return (x.layout,) * len(operation.shapes)


@batch_rule("Slice")
def slice_of(operation: Operation) -> Layout:
    x = operation.only()
    starts, ends = operation.axes(1, "starts"), operation.axes(2, "ends")
    if starts is None or ends is None:
        raise Mixing("it states no ends")
    axes = placed(operation.axes(3) or range(len(starts)), len(x.shape))
    steps = operation.axes(4, "steps") or (1,) * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if axis == x.axis and (start != 0 or step != 1 or end < x.shape[axis]):
            raise Mixing("it takes some of the samples")
    return x.layout


@batch_rule("Gather")
def gather(operation: Operation) -> Layout:
    x, indices = operation.only(), operation.operand(1)
    assert isinstance(indices, Static)
    (axis,) = placed((operation.attributes.get("axis", 0),), len(x.shape))
    if axis == x.axis:
        raise Mixing("it takes some of the samples")
    after = x.layout.after + (indices.array.ndim - 1 if axis > x.axis else 0)
    return Layout(after, x.layout.outer, x.layout.inner)


@batch_rule("Pad")
def pad(operation: Operation) -> Layout:
    x = operation.only()
    amounts = operation.axes(1, "pads")
    axes = placed(operation.axes(3) or range(len(x.shape)), len(x.shape))
    if amounts is None or len(amounts) != 2 * len(axes):
        raise Mixing("its amounts do not fit its axes")
    for axis, before, behind in zip(axes, amounts, amounts[len(axes) :]):
        if axis == x.axis and (before or behind):
            raise Mixing("it adds to the samples")
    return x.layout


@batch_rule("Resize", "Upsample")
def resize(operation: Operation) -> Layout:
    """Along the samples' axis the factor must be 1, where every mode leaves entries as they are."""
    x, sizes = operation.only(), operation.operand(3)
    unusual = operation.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    if unusual or operation.attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Mixing("how large it makes one axis depends on the others")
    one = operation.for_one(operation.shapes[0], x.layout)
    axes = placed(operation.attributes.axes(None) or range(len(x.shape)), len(x.shape))
    if isinstance(sizes, Static) and sizes.array.size:
        operation.replaced[3] = np.array([one[axis] for axis in axes], dtype=np.int64)
        return x.layout
    scales = operation.operand(1 if operation.attributes.opset < _SIZES_SINCE else 2)
    factors = scales.array if isinstance(scales, Static) else np.array(operation.attributes.get("scales", ()))
    if any(factor != 1 for axis, factor in zip(axes, factors, strict=True) if axis == x.axis):
        raise Mixing("it works along the axis that counts the samples")
    return x.layout


@batch_rule("DepthToSpace", "SpaceToDepth")
def blocks(operation: Operation) -> Layout:
    return first_axis(operation)


def first_axis(operation: Operation) -> Layout:
    """The samples of an operator that works on each entry along axis 0 of its first operand by itself."""
    x = operation.only()
    if x.axis:
        raise Mixing("it takes another axis than the samples' for that of the samples")
    return Layout(len(operation.shapes[0]) - 1, x.layout.outer, x.layout.inner)
