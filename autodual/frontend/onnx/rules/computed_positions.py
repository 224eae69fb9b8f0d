"""Positions that depend on the network's input: entries are picked, replaced and found by one-hot vectors.

A position becomes a vector that is 1 at the entry meant and 0 at the others: exact for whole numbers, and the steps
that decide it have bounds like any other op. The price is one scalar for each pair of a position and an entry.
"""

from __future__ import annotations

from math import prod

import numpy as np

from autodual.frontend import compositions
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, fixed, placed
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.rules.arithmetic import add, multiply, subtract
from autodual.frontend.onnx.rules.linear import matmul
from autodual.frontend.onnx.rules.picking import picked_along
from autodual.frontend.onnx.rules.shapes import transposed
from autodual.ir.ops import Sign, Step

_LARGEST = 2**22
"""Scalars that selecting may cost one sample."""

_NONE = Attributes(0)


def hits(builder: OnnxBuilder, indices: Value, extent: int) -> Value:
    """One-hot vectors `[*indices, extent]` of indices; negative indices count from the end."""
    entries = np.arange(extent, dtype=np.float32)
    if isinstance(indices, Static):
        builder.reserve(indices.array.size * extent)
        wrapped = np.where(indices.array < 0, indices.array + extent, indices.array)
        return Static((wrapped[..., None] == entries).astype(np.float32))
    if prod(indices.shape) * extent > _LARGEST:
        raise Unsupported(f"it chooses among {extent} entries {prod(indices.shape)} times by the network's input")
    counted = builder.branch(indices.node, (*indices.shape, 1))
    negative = builder.scaled(builder.unary(Step(inclusive=True), counted), -float(extent), float(extent))
    gaps = subtract(builder, _NONE, add(builder, _NONE, counted, negative), Static(entries))
    distance = compositions.absolute(builder, builder.emit(Sign(), gaps.node))
    return builder.scaled(builder.branch(distance, gaps.shape), -1.0, 1.0)


def gathered(builder: OnnxBuilder, x: Value, indices: Branch, axis: int) -> Branch:
    """Entries of x along an axis (Gather): the axes of the indices take its place."""
    (place,) = placed((axis,), len(x.shape))
    rest = [*x.shape[:place], *x.shape[place + 1 :]]
    order = (place, *(a for a in range(len(x.shape)) if a != place))
    table = _reshaped(builder, _transposed(builder, x, order), (x.shape[place], prod(rest)))
    chosen = hits(builder, indices, x.shape[place])
    flat = _reshaped(builder, chosen, (prod(indices.shape), x.shape[place]))
    _affordable(flat, table)
    product = _product(builder, flat, table)
    whole = builder.branch(product.node, (*indices.shape, *rest))
    rank = len(indices.shape)
    back = (*range(rank, rank + place), *range(rank), *range(rank + place, len(whole.shape)))
    return _typed(transposed(builder, whole, back), x)


def gathered_elements(builder: OnnxBuilder, x: Value, indices: Branch, axis: int) -> Branch:
    """Entries of x along an axis (GatherElements): along the other axes each is at the place of its index."""
    (place,) = placed((axis,), len(x.shape))
    others = [a for a in range(len(x.shape)) if a != place]
    if any(indices.shape[a] != x.shape[a] for a in others):
        raise Unsupported("its indices depend on the network's input and cover only a part of its operand")
    order = (*others, place)
    back = tuple(order.index(a) for a in range(len(order)))
    rows = prod(x.shape[a] for a in others)
    table = _reshaped(builder, _transposed(builder, x, order), (rows, x.shape[place], 1))
    chosen = hits(builder, transposed(builder, indices, order), x.shape[place])
    stacked = _reshaped(builder, chosen, (rows, indices.shape[place], x.shape[place]))
    _affordable(stacked, table)
    product = _product(builder, stacked, table)
    whole = builder.branch(product.node, [indices.shape[a] for a in order])
    return _typed(transposed(builder, whole, back), x)


def scattered(builder: OnnxBuilder, x: Value, indices: Branch, updates: Value) -> Branch:
    """x with parts replaced (ScatterND), at indices `[..., depth]`, one after the other as runtimes do it."""
    depth = indices.shape[-1]
    leading, rest = x.shape[:depth], x.shape[depth:]
    count = prod(indices.shape[:-1])
    if count > 64 or count * prod(x.shape) > _LARGEST:
        raise Unsupported(f"it replaces {count} parts at positions that depend on the network's input")
    rows = builder.branch(indices.node, (count, depth))
    fresh = _reshaped(builder, updates, (count, 1, prod(rest)))
    result: Value = _reshaped(builder, x, (prod(leading), prod(rest)))
    for row in range(count):
        chosen = _cell(builder, _row(builder, rows, row), leading)
        change = subtract(builder, _NONE, _row(builder, fresh, row), result)
        result = add(builder, _NONE, result, multiply(builder, _NONE, chosen, change))
    assert isinstance(result, Branch)
    return _typed(builder.branch(result.node, x.shape), x)


def _cell(builder: OnnxBuilder, index: Value, leading: tuple[int, ...]) -> Branch:
    """The one-hot vector `[cells, 1]` of one index `[1, depth]` into a grid of the shape `leading`."""
    chosen: Value = Static(np.ones((1, 1), dtype=np.float32))
    for axis, extent in enumerate(leading):
        assert isinstance(index, Branch)
        along = hits(builder, builder.branch(picked_along(builder, index, 1, [axis]).node, (1,)), extent)
        chosen = multiply(builder, _NONE, _reshaped(builder, chosen, (chosen.shape[0], 1)), along)
        chosen = builder.branch(chosen.node, (prod(chosen.shape), 1))
    assert isinstance(chosen, Branch)
    return chosen


@onnx_op("OneHot")
def one_hot(builder: OnnxBuilder, attributes: Attributes, indices: Value, depth: Value, values: Value) -> Branch:
    """The second of two values at the entry that an index means, along a new axis, and the first elsewhere."""
    count = int(fixed(depth, "depth").array.reshape(-1)[0])
    off, on = (float(value) for value in fixed(values, "values").array)
    chosen = hits(builder, indices, count)
    assert isinstance(chosen, Branch)
    (place,) = placed((attributes.get("axis", -1),), len(chosen.shape))
    order = list(range(len(chosen.shape) - 1))
    order.insert(place, len(chosen.shape) - 1)
    result = builder.scaled(transposed(builder, chosen, order), on - off, off)
    return _typed(result, values)


@onnx_op("ArgMax")
def place_of_largest(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    """The place of the largest entry along an axis, the first (or last) of several."""
    (place,) = placed((attributes.get("axis", 0),), len(x.shape))
    flat = _largest(builder, x, place, last=bool(attributes.get("select_last_index", 0)))
    places = matmul(builder, _NONE, flat, Static(np.arange(x.shape[place], dtype=np.float32)[:, None]))
    shape = [1 if a == place else n for a, n in enumerate(x.shape)]
    if not attributes.get("keepdims", 1):
        shape.pop(place)
    return builder.branch(places.node, shape, np.int64)


def _largest(builder: OnnxBuilder, x: Branch, place: int, *, last: bool = False) -> Branch:
    """One-hot vectors `[rest, extent]` of the largest entries along an axis, the first (or last) of equal ones."""
    extent = x.shape[place]
    if prod(x.shape) * extent > _LARGEST:
        raise Unsupported(f"it finds the place of the largest of {extent} entries by comparing all pairs of them")
    order = (*(a for a in range(len(x.shape)) if a != place), place)
    rows = prod(x.shape) // extent
    table = transposed(builder, x, order)
    one = builder.branch(table.node, (rows, extent, 1))
    other = builder.branch(table.node, (rows, 1, extent))
    gaps = subtract(builder, _NONE, one, other)
    # The largest entry wins against all others. Of equal ones the first does: it need not exceed those after it.
    before = np.triu(np.ones((extent, extent), dtype=np.float32), 1)
    before = before.T if last else before
    ties = multiply(builder, _NONE, builder.unary(Step(inclusive=True), gaps), Static(before))
    strict = multiply(builder, _NONE, builder.unary(Step(), gaps), Static(np.ascontiguousarray(before.T)))
    wins = add(builder, _NONE, ties, strict)
    counts = matmul(builder, _NONE, wins, Static(np.ones((extent, 1), dtype=np.float32)))
    winner = builder.unary(Step(), builder.scaled(counts, offset=1.5 - extent))
    return builder.branch(winner.node, (rows, extent))


@onnx_op("Hardmax")
def hardmax(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    """1 at the first largest entry along an axis, else 0."""
    if attributes.opset < 13:
        raise Unsupported("it works along several axes at once in this operator set; export it again")
    (place,) = placed((attributes.get("axis", -1),), len(x.shape))
    rest = [n for a, n in enumerate(x.shape) if a != place]
    flat = _largest(builder, x, place)
    order = list(range(len(rest)))
    order.insert(place, len(rest))
    return transposed(builder, builder.branch(flat.node, (*rest, x.shape[place])), order)


@onnx_op("ArgMin")
def place_of_smallest(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    return place_of_largest(builder, attributes, builder.scaled(x, -1.0))


def _typed(x: Branch, like: Value) -> Branch:
    return Branch(x.node, x.shape, like.dtype)


def _row(builder: OnnxBuilder, x: Value, row: int) -> Value:
    """One entry along axis 0; the axis stays, with extent 1, where only one other is left."""
    if isinstance(x, Static):
        return Static(x.array[row].reshape(x.shape[1:] if len(x.shape) > 2 else (1, *x.shape[1:])))
    part = picked_along(builder, x, 0, [row])
    return builder.branch(part.node, x.shape[1:] if len(x.shape) > 2 else (1, *x.shape[1:]))


def _reshaped(builder: OnnxBuilder, x: Value, shape: tuple[int, ...]) -> Value:
    return Static(x.array.reshape(shape)) if isinstance(x, Static) else builder.branch(x.node, shape)


def _transposed(builder: OnnxBuilder, x: Value, order: tuple[int, ...]) -> Value:
    return Static(x.array.transpose(order)) if isinstance(x, Static) else transposed(builder, x, order)


def _product(builder: OnnxBuilder, x: Value, y: Value) -> Branch:
    return matmul(builder, _NONE, x, Static(y.array.astype(np.float32)) if isinstance(y, Static) else y)


def _affordable(x: Value, y: Value) -> None:
    if isinstance(x, Branch) and isinstance(y, Branch) and prod(x.shape) * y.shape[-1] > _LARGEST:
        raise Unsupported("it chooses among too many entries by the network's input")
