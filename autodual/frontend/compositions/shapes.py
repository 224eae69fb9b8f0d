"""Shapes, broadcasting and fixed gathers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.frontend.compositions.emitter import Emitter
from autodual.frontend.constants import apply
from autodual.ir import Node
from autodual.ir.ops import Expand, Reshape, Slice, Take


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


def picked(builder: Emitter, x: Node, axis: int, entries: list[int]) -> Node:
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
