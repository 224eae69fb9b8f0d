"""Rules of operators that give the same scalars another shape or order, repeat them or put them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from autodual.frontend.compositions import concatenated, permuted, reshaped, sliced
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, placed, whole_numbers
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.ir.ops import Expand


@onnx_op("Shape")
def shape_of(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Static:
    """The shape, or a part of it; all shapes are known."""
    return Static(np.array(x.shape[attributes.get("start", 0) : attributes.get("end")], dtype=np.int64))


@onnx_op("Size")
def size_of(builder: OnnxBuilder, _: Attributes, x: Branch) -> Static:
    return Static(np.array(prod(x.shape), dtype=np.int64))


@onnx_op("EyeLike")
def identity_matrix(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Static:
    """Ones on a diagonal, in the operand's shape."""
    rows, columns = x.shape
    return Static(np.eye(rows, columns, attributes.get("k", 0), dtype=np.float32))


@onnx_op("Reshape")
def reshape(builder: OnnxBuilder, attributes: Attributes, x: Branch, shape: Value) -> Branch:
    """0 stands for the old extent, -1 for what is left."""
    wanted = list(whole_numbers(shape, "shape"))
    for axis, extent in enumerate(wanted):
        if extent == 0 and not attributes.get("allowzero", 0):
            if axis >= len(x.shape):
                raise Unsupported(f"it keeps axis {axis} of a value with {len(x.shape)} axes")
            wanted[axis] = x.shape[axis]
    size = prod(x.shape)
    if wanted.count(-1) == 1:
        known = prod(extent for extent in wanted if extent != -1)
        wanted[wanted.index(-1)] = size // known if known else 0
    if prod(wanted) != size or min(wanted, default=0) < 0:
        raise Unsupported(
            f"it makes a value of shape {list(x.shape)} one of shape {wanted}; a batch size may be "
            "written into the network"
        )
    return builder.branch(x.node, wanted)


@onnx_op("Flatten")
def flatten(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    axis = attributes.get("axis", 1)
    axis = axis + len(x.shape) if axis < 0 else axis
    return builder.branch(x.node, (prod(x.shape[:axis]), prod(x.shape[axis:])))


@onnx_op("Squeeze")
def squeeze(builder: OnnxBuilder, attributes: Attributes, x: Branch, axes: Value | None = None) -> Branch:
    given = attributes.axes(axes)
    dropped = (
        [axis for axis, extent in enumerate(x.shape) if extent == 1] if given is None else placed(given, len(x.shape))
    )
    if any(x.shape[axis] != 1 for axis in dropped):
        raise Unsupported(f"it removes the axes {list(dropped)} of a value of shape {list(x.shape)}")
    return builder.branch(x.node, [extent for axis, extent in enumerate(x.shape) if axis not in dropped])


@onnx_op("Unsqueeze")
def unsqueeze(builder: OnnxBuilder, attributes: Attributes, x: Branch, axes: Value | None = None) -> Branch:
    given = attributes.axes(axes)
    if given is None:
        raise Unsupported("it has no axes")
    rank = len(x.shape) + len(given)
    new, old = set(placed(given, rank)), iter(x.shape)
    if len(new) != len(given):
        raise Unsupported("it adds an axis twice")
    return builder.branch(x.node, [1 if axis in new else next(old) for axis in range(rank)])


@onnx_op("Transpose")
def transpose(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    order = attributes.get("perm", tuple(reversed(range(len(x.shape)))))
    if sorted(order) != list(range(len(x.shape))):
        raise Unsupported(f"its order {list(order)} is not one of {len(x.shape)} axes")
    return transposed(builder, x, order)


def transposed(builder: OnnxBuilder, x: Branch, order: Sequence[int]) -> Branch:
    """Axes in another order; a reshape where only axes of extent 1 move."""
    shape = [x.shape[axis] for axis in order]
    if x.dropped and order[0] == 0:
        return builder.branch(permuted(builder, x.node, [axis - 1 for axis in order[1:]]), shape)
    return builder.branch(permuted(builder, builder.full(x), order), shape)


@onnx_op("Expand")
def expand(builder: OnnxBuilder, _: Attributes, x: Branch, shape: Value) -> Branch:
    """Broadcast to what the value's shape and the given one broadcast to together."""
    wanted = tuple(np.broadcast_shapes(x.shape, whole_numbers(shape, "shape")))
    return builder.branch(builder.node(x, wanted), wanted)


@onnx_op("Tile")
def tile(builder: OnnxBuilder, _: Attributes, x: Branch, repeats: Value) -> Branch:
    """Each axis repeated as a whole: an axis of extent 1 before it is repeated and merged with it."""
    counts = whole_numbers(repeats, "repeats")
    if len(counts) != len(x.shape):
        raise Unsupported(f"it repeats {len(counts)} axes of a value with {len(x.shape)}")
    split = [part for extent in x.shape for part in (1, extent)]
    wide = [part for count, extent in zip(counts, x.shape) for part in (count, extent)]
    result = [count * extent for count, extent in zip(counts, x.shape)]
    if result == list(x.shape):
        return x
    node = reshaped(builder, builder.full(x), split)
    return builder.branch(builder.emit(Expand(tuple(wide)), node, shape=tuple(wide)), result)


@onnx_op("Concat")
def concatenate(builder: OnnxBuilder, attributes: Attributes, *parts: Value) -> Branch:
    axis = attributes.get("axis", 1 if attributes.opset < 4 else None)
    (place,) = placed((axis,), len(parts[0].shape))
    parts = tuple(part for part in parts if part.shape[place]) or parts[:1]
    shape = list(parts[0].shape)
    shape[place] = sum(part.shape[place] for part in parts)
    # Along the leading axis the parts are needed with that axis, which the graph may drop.
    nodes = [builder.full(part) if place == 0 else builder.node(part) for part in parts]
    within = place - (len(shape) - len(nodes[0].shape))
    return builder.branch(concatenated(builder, nodes, within), shape)


@onnx_op("Split")
def split(builder: OnnxBuilder, attributes: Attributes, x: Branch, sizes: Value | None = None) -> tuple[Branch, ...]:
    """Parts of the given sizes, or as many equal ones as there are results (the last may be smaller)."""
    node, (axis,) = builder.along(x, (attributes.get("axis", 0),))
    (place,) = placed((attributes.get("axis", 0),), len(x.shape))
    lengths = attributes.axes(sizes, "split")
    extent = x.shape[place]
    if lengths is None:
        count = len(attributes.results)
        if attributes.get("num_outputs", count) != count:
            raise Unsupported(f"it splits into {attributes.get('num_outputs')} parts but has {count} results")
        size = -(-extent // count)
        lengths = tuple(max(0, min(size, extent - index * size)) for index in range(count))
    if sum(lengths) != extent:
        raise Unsupported(f"it splits an axis of {extent} entries into parts of {list(lengths)}")
    parts, start = [], 0
    for length in lengths:
        part = sliced(builder, node, axis, start, start + length)
        parts.append(builder.branch(part, (*x.shape[:place], length, *x.shape[place + 1 :])))
        start += length
    return tuple(parts)


@onnx_op("DepthToSpace")
def depth_to_space(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    """Channels to blocks of pixels."""
    block = attributes.get("blocksize")
    batch, channels, height, width = x.shape
    inner = channels // block**2
    if attributes.get("mode", "DCR") == "DCR":
        split_shape, order = (batch, block, block, inner, height, width), (0, 3, 4, 1, 5, 2)
    else:
        split_shape, order = (batch, inner, block, block, height, width), (0, 1, 4, 2, 5, 3)
    turned = transposed(builder, builder.branch(x.node, split_shape), order)
    return builder.branch(turned.node, (batch, inner, height * block, width * block))


@onnx_op("SpaceToDepth")
def space_to_depth(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    """Blocks of pixels to channels, places in a block before the old channels (DCR) or after them (CRD)."""
    block = attributes.get("blocksize")
    batch, channels, height, width = x.shape
    rows, columns = height // block, width // block
    parts = builder.branch(x.node, (batch, channels, rows, block, columns, block))
    order = (0, 3, 5, 1, 2, 4) if attributes.get("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    turned = transposed(builder, parts, order)
    return builder.branch(turned.node, (batch, channels * block**2, rows, columns))
