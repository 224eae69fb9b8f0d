"""Entries at fixed places: slices, gathers, and branches side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.frontend.compositions.emitter import Emitter
from autodual.frontend.compositions.shapes import reshaped
from autodual.frontend.constants import apply
from autodual.ir import Expression, Node
from autodual.ir.ops import Concatenate, Slice, Take


def sliced(builder: Emitter, x: Node, axis: int, start: int, stop: int, step: int = 1) -> Node:
    """The entries start, start + step, ... below stop along one axis."""
    stop = max(start, stop)
    if (start, stop, step) == (0, x.shape[axis], 1):
        return x
    shape = (*x.shape[:axis], len(range(start, stop, step)), *x.shape[axis + 1 :])
    return builder.emit(Slice(axis, start, stop, step), x, shape=shape)


def entries(builder: Emitter, x: Node, axis: int) -> list[Node]:
    """Each entry along an axis, which stays with extent 1."""
    return [sliced(builder, x, axis, place, place + 1) for place in range(x.shape[axis])]


def picked(builder: Emitter, x: Node, axis: int, places: Sequence[int]) -> Node:
    """The entries at some places along one axis: a slice where these are evenly spaced, else a fixed gather."""
    places = list(places)
    if not places:
        return sliced(builder, x, axis, 0, 0)
    step = places[1] - places[0] if len(places) > 1 else 1
    if step > 0 and places == list(range(places[0], places[-1] + 1, step)):
        return sliced(builder, x, axis, places[0], places[-1] + 1, step)
    return taken(builder, x, axis, places)


def taken(builder: Emitter, x: Node, axis: int, places: Sequence[int]) -> Node:
    """The entries at some places along one axis, in any order, by a fixed gather."""
    shape = (*x.shape[:axis], len(places), *x.shape[axis + 1 :])
    positions = apply(_positions_along, tuple(x.shape), axis, tuple(places))
    return builder.emit(Take(positions, shape), x, shape=shape)


def _positions_along(shape: tuple[int, ...], axis: int, places: tuple[int, ...]) -> Tensor:
    """The flat positions of the entries at some places along an axis of an array."""
    everything = torch.arange(math.prod(shape)).reshape(shape)
    return everything.index_select(axis, torch.tensor(places))


def taken_diagonal(builder: Emitter, x: Node, first: int, second: int, offset: int = 0) -> Node:
    """The diagonal of two axes, which becomes the last axis in their place."""
    positions = apply(_diagonal_positions, tuple(x.shape), offset, first, second)
    rest = tuple(extent for axis, extent in enumerate(x.shape) if axis not in (first, second))
    rows, columns = x.shape[first], x.shape[second]
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    return builder.emit(Take(positions, (*rest, length)), x, shape=(*rest, length))


def _diagonal_positions(shape: tuple[int, ...], offset: int, first: int, second: int) -> Tensor:
    return torch.arange(math.prod(shape)).reshape(shape).diagonal(offset, first, second)


def taken_from_both(builder: Emitter, x: Node, y: Node, positions: Expression, shape: Sequence[int]) -> Node:
    """Scalars at flat positions in x followed by y, in the shape `shape`: what assigning parts of y to x leaves."""
    flat = [reshaped(builder, node, (node.size,)) for node in (x, y)]
    both = builder.emit(Concatenate(0), *flat, shape=(x.size + y.size,))
    return builder.emit(Take(positions, tuple(shape)), both, shape=tuple(shape))


def concatenated(builder: Emitter, parts: Sequence[Node], axis: int) -> Node:
    """Branches side by side along one axis."""
    if len(parts) == 1:
        return parts[0]
    shape = (*parts[0].shape[:axis], sum(part.shape[axis] for part in parts), *parts[0].shape[axis + 1 :])
    return builder.emit(Concatenate(axis), *parts, shape=shape)
