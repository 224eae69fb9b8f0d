"""Rules of operators that pick or replace entries by position."""

from __future__ import annotations

import numpy as np

from autodual.frontend.compositions import taken_from_both
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, fixed, placed, whole_numbers
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.rules.computed_positions import gathered, gathered_elements, scattered
from autodual.frontend.onnx.rules.picking import picked_along
from autodual.ir import Node
from autodual.ir.ops import Take


def rearranged(builder: OnnxBuilder, node: Node, positions: np.ndarray) -> Branch:
    """Entries of a node by flat position, in the shape of `positions`."""
    if positions.size and (positions.min() < 0 or positions.max() >= node.size):
        raise Unsupported("it reads beyond the end of its operand")
    expression = builder.constant(positions.astype(np.int64))
    return builder.branch(builder.emit(Take(expression, positions.shape), node, shape=positions.shape), positions.shape)


@onnx_op("Slice")
def slices(builder: OnnxBuilder, attributes: Attributes, x: Branch, *operands: Value | None) -> Branch:
    """Ranges along some axes, given as attributes before operator set 10, as operands since."""
    starts, ends, axes, steps = (*operands, None, None, None, None)[:4]
    first, last = attributes.axes(starts, "starts"), attributes.axes(ends, "ends")
    if first is None or last is None:
        raise Unsupported("it has no starts or ends")
    chosen = attributes.axes(axes, "axes") or tuple(range(len(first)))
    strides = (1,) * len(first) if steps is None else whole_numbers(steps, "steps")
    for start, end, axis, step in zip(first, last, chosen, strides, strict=True):
        (place,) = placed((axis,), len(x.shape))
        # A huge end means the last entry; Python's slices clip it, and read negative ends as ONNX does.
        entries = list(range(*slice(start, end, step).indices(x.shape[place])))
        x = picked_along(builder, x, place, entries)
    return x


@onnx_op("Gather")
def gather(builder: OnnxBuilder, attributes: Attributes, x: Value, indices: Value) -> Branch:
    """Entries along one axis, by an array of indices that takes the axis' place."""
    if isinstance(indices, Branch):
        return gathered(builder, x, indices, attributes.get("axis", 0))
    found = fixed(indices, "indices").array
    assert isinstance(x, Branch)
    (place,) = placed((attributes.get("axis", 0),), len(x.shape))
    entries = _wrapped(found.reshape(-1), x.shape[place])
    result = picked_along(builder, x, place, [int(entry) for entry in entries])
    return builder.branch(result.node, (*x.shape[:place], *found.shape, *x.shape[place + 1 :]))


@onnx_op("GatherElements")
def gather_elements(builder: OnnxBuilder, attributes: Attributes, x: Value, indices: Value) -> Branch:
    """For each index the entry at its own place but for one axis."""
    if isinstance(indices, Branch):
        return gathered_elements(builder, x, indices, attributes.get("axis", 0))
    found = fixed(indices, "indices").array
    assert isinstance(x, Branch)
    (axis,) = placed((attributes.get("axis", 0),), len(x.shape))
    positions = _positions(x.shape)[tuple(slice(n) if a != axis else slice(None) for a, n in enumerate(found.shape))]
    return rearranged(builder, builder.node(x), np.take_along_axis(positions, _wrapped(found, x.shape[axis]), axis))


@onnx_op("GatherND")
def gather_nd(builder: OnnxBuilder, attributes: Attributes, x: Value, indices: Value) -> Branch:
    found = fixed(indices, "indices").array
    assert isinstance(x, Branch)
    batched = attributes.get("batch_dims", 0)
    outer = x.shape[:batched]
    depth = found.shape[-1]
    positions = _positions(x.shape).reshape(-1, *x.shape[batched:])
    rows = found.reshape(positions.shape[0], -1, depth)
    picks = [
        block[tuple(_wrapped(row[:, axis], block.shape[axis]) for axis in range(depth))]
        for block, row in zip(positions, rows, strict=True)
    ]
    shape = (*outer, *found.shape[batched:-1], *x.shape[batched + depth :])
    return rearranged(builder, builder.node(x), np.stack(picks).reshape(shape))


@onnx_op("ScatterND")
def scatter_nd(builder: OnnxBuilder, attributes: Attributes, x: Value, indices: Value, updates: Value) -> Branch:
    """Entries replaced: at fixed positions every entry of the result is one of the operand or of the updates."""
    _replacing(attributes)
    if isinstance(indices, Branch):
        return scattered(builder, x, indices, updates)
    found = fixed(indices, "indices").array
    positions = _positions(x.shape)
    depth = found.shape[-1]
    rows = found.reshape(-1, depth)
    where = tuple(_wrapped(rows[:, axis], x.shape[axis]) for axis in range(depth))
    fresh = positions.size + _positions(updates.shape)
    positions[where] = fresh.reshape(rows.shape[0], *x.shape[depth:])
    return _from_both(builder, x, updates, positions)


@onnx_op("ScatterElements", "Scatter")
def scatter_elements(builder: OnnxBuilder, attributes: Attributes, x: Value, indices: Value, updates: Value) -> Branch:
    _replacing(attributes)
    found = fixed(indices, "indices").array
    (axis,) = placed((attributes.get("axis", 0),), len(x.shape))
    positions = _positions(x.shape)
    where: list[np.ndarray] = list(np.indices(found.shape))
    where[axis] = _wrapped(found, x.shape[axis])
    positions[tuple(where)] = positions.size + _positions(updates.shape)
    return _from_both(builder, x, updates, positions)


def _replacing(attributes: Attributes) -> None:
    if attributes.get("reduction", "none") != "none":
        raise Unsupported(f"it combines entries by '{attributes.get('reduction')}'; only replacing them is supported")


def _from_both(builder: OnnxBuilder, x: Value, updates: Value, positions: np.ndarray) -> Branch:
    """Entries by flat position in the first operand followed by the second."""
    found = taken_from_both(
        builder, builder.node(x), builder.node(updates), builder.constant(positions), positions.shape
    )
    return builder.branch(found, positions.shape)


def _positions(shape: tuple[int, ...]) -> np.ndarray:
    """The flat position of each entry."""
    return np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)


def _wrapped(indices: np.ndarray, extent: int) -> np.ndarray:
    """Indices counted from 0; negative ones count from the end."""
    if indices.size and (indices.min() < -extent or indices.max() >= extent):
        raise Unsupported(f"it reads beyond the {extent} entries of an axis")
    return np.where(indices < 0, indices + extent, indices).astype(np.int64)
