"""What composite operations consist of; every frontend lowers to these.

Functions take a builder with `emit(op, *nodes, shape=...)` and nodes; all shapes and axes are those of one sample, axes
counted from 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from autodual.frontend.values import apply, number
from autodual.ir import Expression, Node, Op
from autodual.ir.ops import (
    Add,
    Clamp,
    ElementwiseAffine,
    Exp,
    Expand,
    LeakyRelu,
    LogSoftmax,
    MatrixProduct,
    Maximum,
    Mean,
    Multiply,
    Power,
    Reshape,
    Slice,
    Step,
    Subtract,
    Sum,
    Take,
)


class Emitter(Protocol):
    """What adds nodes to a graph."""

    def emit(self, op: Op, *inputs: Node, shape: tuple[int, ...] | None = None) -> Node:
        """Add `op(inputs)`, whose result has `shape` for one sample."""


# --- shapes ----------------------------------------------------------------------------------------------------------


def reshaped(builder: Emitter, x: Node, shape: Sequence[int]) -> Node:
    """The same scalars in another shape."""
    return x if x.shape == tuple(shape) else builder.emit(Reshape(tuple(shape)), x, shape=tuple(shape))


def broadcast(builder: Emitter, x: Node, shape: Sequence[int]) -> Node:
    """Leading axes added and axes of extent 1 repeated until one sample has `shape`."""
    shape = tuple(shape)
    x = reshaped(builder, x, (1,) * (len(shape) - len(x.shape)) + x.shape)
    return x if x.shape == shape else builder.emit(Expand(shape), x, shape=shape)


def alike(builder: Emitter, *nodes: Node) -> tuple[Node, ...]:
    """All nodes in the shape that they broadcast to together."""
    shape = torch.broadcast_shapes(*(node.shape for node in nodes))
    return tuple(broadcast(builder, node, shape) for node in nodes)


# --- arithmetic ------------------------------------------------------------------------------------------------------


def affine(builder: Emitter, x: Node, factor: float | None = None, offset: float | None = None) -> Node:
    """x · factor + offset."""
    op = ElementwiseAffine(None if factor is None else number(factor), None if offset is None else number(offset))
    return builder.emit(op, x, shape=x.shape)


def scaled(builder: Emitter, x: Node, factor: Expression) -> Node:
    """x times a constant that broadcasts to one sample."""
    return builder.emit(ElementwiseAffine(factor), x, shape=x.shape)


def power(builder: Emitter, x: Node, exponent: float) -> Node:
    """x to a constant exponent."""
    return x if exponent == 1 else builder.emit(Power(float(exponent)), x, shape=x.shape)


def product(builder: Emitter, x: Node, y: Node) -> Node:
    """The product of two branches; a branch times itself is its square, whose bounds are tighter."""
    if x is y:
        return power(builder, x, 2)
    x, y = alike(builder, x, y)
    return builder.emit(Multiply(), x, y, shape=x.shape)


def quotient(builder: Emitter, x: Node, y: Node) -> Node:
    """The quotient of two branches."""
    return product(builder, x, power(builder, y, -1))


def total(builder: Emitter, x: Node, y: Node) -> Node:
    """The sum of two branches."""
    x, y = alike(builder, x, y)
    return builder.emit(Add(), x, y, shape=x.shape)


def difference(builder: Emitter, x: Node, y: Node) -> Node:
    """The difference of two branches."""
    x, y = alike(builder, x, y)
    return builder.emit(Subtract(), x, y, shape=x.shape)


def absolute(builder: Emitter, x: Node) -> Node:
    """|x|: a leaky ReLU of slope -1."""
    return builder.emit(LeakyRelu(number(-1)), x, shape=x.shape)


def maximum(builder: Emitter, *branches: Node) -> Node:
    """The elementwise maximum of branches."""
    branches = tuple(dict.fromkeys(alike(builder, *branches)))
    return branches[0] if len(branches) == 1 else builder.emit(Maximum(), *branches, shape=branches[0].shape)


def minimum(builder: Emitter, *branches: Node) -> Node:
    """The elementwise minimum of branches."""
    return affine(builder, maximum(builder, *(affine(builder, branch, -1.0) for branch in branches)), -1.0)


def matrix_product(builder: Emitter, x: Node, y: Node) -> Node:
    """x @ y of two branches `[..., n, k]` and `[..., k, m]`."""
    outer = tuple(torch.broadcast_shapes(x.shape[:-2], y.shape[:-2]))
    x, y = broadcast(builder, x, (*outer, *x.shape[-2:])), broadcast(builder, y, (*outer, *y.shape[-2:]))
    return builder.emit(MatrixProduct(), x, y, shape=(*outer, x.shape[-2], y.shape[-1]))


def where(builder: Emitter, condition: Node, x: Node, y: Node) -> Node:
    """x where the condition, a branch of values 0 and 1, holds, else y."""
    return total(builder, y, product(builder, condition, difference(builder, x, y)))


def greater(builder: Emitter, x: Node, y: Node, *, inclusive: bool = False) -> Node:
    """1 where x > y (or ≥, if inclusive), else 0."""
    gap = difference(builder, x, y)
    return builder.emit(Step(inclusive), gap, shape=gap.shape)


# --- reductions ------------------------------------------------------------------------------------------------------


def mean(builder: Emitter, x: Node, axes: Sequence[int]) -> Node:
    """The mean over some axes, which stay with extent 1."""
    shape = tuple(1 if axis in axes else extent for axis, extent in enumerate(x.shape))
    return builder.emit(Mean(tuple(axes), keepdim=True), x, shape=shape)


def norm(builder: Emitter, x: Node, axes: Sequence[int], order: float = 2.0) -> Node:
    """The l1 or l2 norm over some axes, which stay with extent 1."""
    shape = tuple(1 if axis in axes else extent for axis, extent in enumerate(x.shape))
    powers = absolute(builder, x) if order == 1 else power(builder, x, order)
    summed = builder.emit(Sum(tuple(axes), keepdim=True), powers, shape=shape)
    return power(builder, summed, 1 / order)


def largest(builder: Emitter, x: Node, axes: Sequence[int], *, keepdim: bool) -> Node:
    """The maximum over some axes: of as many branches as there are entries along them."""
    kept = tuple(1 if axis in axes else extent for axis, extent in enumerate(x.shape))
    parts = [x]
    for axis in axes:
        parts = [entry for part in parts for entry in _entries(builder, part, axis)]
    found = maximum(builder, *parts)
    return found if keepdim else reshaped(builder, found, tuple(e for a, e in enumerate(kept) if a not in axes))


def _entries(builder: Emitter, x: Node, axis: int) -> list[Node]:
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return [builder.emit(Slice(axis, place, place + 1), x, shape=shape) for place in range(x.shape[axis])]


def softmax(builder: Emitter, x: Node, axis: int) -> Node:
    """eˣ/Σeˣ along an axis, as the exponential of its logarithm: its exponents are never positive."""
    return builder.emit(Exp(), builder.emit(LogSoftmax(axis), x, shape=x.shape), shape=x.shape)


def weighted_softmax(builder: Emitter, x: Node, weights: Expression, axis: int) -> Node:
    """w·eˣ/Σw·eˣ along an axis for constants w ≥ 0, as under a mask: entries of weight 0 take no part."""
    terms = scaled(builder, builder.emit(Exp(), x, shape=x.shape), weights)
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return quotient(builder, terms, builder.emit(Sum((axis,), keepdim=True), terms, shape=shape))


# --- normalisation ---------------------------------------------------------------------------------------------------


def standardised(builder: Emitter, x: Node, axes: Sequence[int], epsilon: float) -> Node:
    """(x - mean)/√(variance + ε) over some axes: layer, group and instance norm before their weights.

    None of n standardised numbers is larger than √n, which their product's bounds do not know where x varies much.
    """
    centred = difference(builder, x, mean(builder, x, axes))
    variance = mean(builder, power(builder, centred, 2), axes)
    scale = power(builder, affine(builder, variance, offset=epsilon), -0.5)
    largest_possible = math.sqrt(math.prod(x.shape[axis] for axis in axes))
    clamp = Clamp(-largest_possible, largest_possible)
    return builder.emit(clamp, product(builder, centred, scale), shape=x.shape)


def group_standardised(builder: Emitter, x: Node, groups: int, epsilon: float) -> Node:
    """Standardised over each of so many groups of the channels of x `[C, ...]` and all that follows."""
    grouped = reshaped(builder, x, (groups, math.prod(x.shape) // groups))
    return reshaped(builder, standardised(builder, grouped, (1,), epsilon), x.shape)


def unit_length(builder: Emitter, x: Node, axes: Sequence[int], order: float, epsilon: float) -> Node:
    """x/max(‖x‖, ε) over some axes."""
    length = norm(builder, x, axes, order)
    return quotient(builder, x, builder.emit(Clamp(lower=epsilon), length, shape=length.shape))


def scaled_and_shifted(builder: Emitter, x: Node, weight: Expression | None, bias: Expression | None) -> Node:
    """x · weight + bias with parameters that broadcast to one sample."""
    if weight is None and bias is None:
        return x
    return builder.emit(ElementwiseAffine(weight, bias), x, shape=x.shape)


# --- max-pooling -----------------------------------------------------------------------------------------------------


def max_pool(
    builder: Emitter,
    x: Node,
    kernel: Sequence[int],
    stride: Sequence[int],
    before: Sequence[int],
    dilation: Sequence[int],
    size: Sequence[int],
) -> Node:
    """The maximum over windows of the last axes of x; `size` is the result's, windows start `before` the first entry.

    One branch each place in the window. Where a place of some window lies outside x, another one of the same window
    stands in for it, which changes no maximum.
    """
    spatial = x.shape[len(x.shape) - len(kernel) :]
    geometries = zip(kernel, stride, before, dilation, size, strict=True)
    places = [_window_places(extent, *geometry) for extent, geometry in zip(spatial, geometries, strict=True)]
    return _window_maximum(builder, x, places)


def adaptive_maximum(builder: Emitter, x: Node, size: Sequence[int]) -> Node:
    """The maximum over so many windows of the last axes, which differ in length by up to one and may overlap."""
    places = []
    for extent, windows in zip(x.shape[len(x.shape) - len(size) :], size, strict=True):
        limits = [(w * extent // windows, -(-(w + 1) * extent // windows)) for w in range(windows)]
        longest = max(stop - start for start, stop in limits)
        # Where a window is shorter than others, its last entry is read again.
        places.append([[min(start + place, stop - 1) for start, stop in limits] for place in range(longest)])
    return _window_maximum(builder, x, places)


def _window_maximum(builder: Emitter, x: Node, places: Sequence[list[list[int]]]) -> Node:
    """The maximum of one branch for each combination of places in the windows of the last axes."""
    leading = x.shape[: len(x.shape) - len(places)]
    branches = [x]
    for axis, windows in enumerate(places):
        at = len(leading) + axis
        branches = [_picked(builder, branch, at, along) for branch in branches for along in windows]
    return maximum(builder, *branches)


def _window_places(extent: int, kernel: int, stride: int, before: int, dilation: int, size: int) -> list[list[int]]:
    """For each place in a window, the entry that each window reads there; those outside are replaced by inner ones."""
    rows = []
    for place in range(kernel):
        row = []
        for window in range(size):
            start = window * stride - before
            inside = [start + p * dilation for p in range(kernel) if 0 <= start + p * dilation < extent]
            wanted = start + place * dilation
            row.append(wanted if wanted in inside else min(inside, key=lambda entry: abs(entry - wanted)))
        rows.append(row)
    return rows


def _picked(builder: Emitter, x: Node, axis: int, entries: list[int]) -> Node:
    """Entries along one axis: a slice where they are evenly spaced, else a fixed gather."""
    shape = (*x.shape[:axis], len(entries), *x.shape[axis + 1 :])
    step = entries[1] - entries[0] if len(entries) > 1 else 1
    if step > 0 and entries == list(range(entries[0], entries[0] + step * len(entries), step)):
        if shape == x.shape:
            return x
        return builder.emit(Slice(axis, entries[0], entries[-1] + 1, step), x, shape=shape)
    return taken(builder, x, axis, entries)


def taken(builder: Emitter, x: Node, axis: int, entries: Sequence[int]) -> Node:
    """Entries along one axis in any order."""
    shape = (*x.shape[:axis], len(entries), *x.shape[axis + 1 :])
    positions = apply(_positions_along, tuple(x.shape), axis, tuple(entries))
    return builder.emit(Take(positions, shape), x, shape=shape)


def _positions_along(shape: tuple[int, ...], axis: int, entries: tuple[int, ...]) -> Tensor:
    """Flat positions of the entries along an axis of an array."""
    everything = torch.arange(math.prod(shape)).reshape(shape)
    return everything.index_select(axis, torch.tensor(entries))


def taken_diagonal(builder: Emitter, x: Node, first: int, second: int, offset: int = 0) -> Node:
    """The entries of two axes at equal places, as a last axis in their stead."""
    positions = apply(_diagonal_positions, tuple(x.shape), offset, first, second)
    rest = tuple(extent for axis, extent in enumerate(x.shape) if axis not in (first, second))
    rows, columns = x.shape[first], x.shape[second]
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    return builder.emit(Take(positions, (*rest, length)), x, shape=(*rest, length))


def _diagonal_positions(shape: tuple[int, ...], offset: int, first: int, second: int) -> Tensor:
    return torch.arange(math.prod(shape)).reshape(shape).diagonal(offset, first, second)
