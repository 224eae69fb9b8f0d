"""Lowering of operations that pick scalars at fixed places: flips, rolls, gathers, repetitions, other paddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from autodual.frontend.compositions import concatenated, picked, sliced, taken_diagonal
from autodual.frontend.constants import apply, leaves
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.operands import Fixed
from autodual.frontend.torch.registry import lowers
from autodual.ir import Node
from autodual.ir.ops import Take

aten = torch.ops.aten


def rearranged(builder: Builder, x: Node, pick: Callable[..., Tensor], *arguments: Any) -> Node:
    """`pick(x, ...)` for a function of one sample's tensor that only selects and moves entries."""
    positions = apply(positions_of, pick, tuple(x.shape), list(arguments))
    return builder.emit(Take(positions, builder.shape), x)


def positions_of(pick: Callable[..., Tensor], shape: tuple[int, ...], arguments: Sequence[Any]) -> Tensor:
    """The flat positions of the entries that `pick` selects: `pick` of the array of all positions."""
    tensors = (value for value in leaves(list(arguments)) if isinstance(value, Tensor))
    device = next((value.device for value in tensors), torch.device("cpu"))
    return pick(torch.arange(prod(shape), device=device).reshape(shape), *arguments)


@lowers(aten.flip.default, any_batch_axis=True)
def flip(builder: Builder, x: Any, dims: Sequence[int]) -> Node:
    x = builder.node(x)
    return rearranged(builder, x, torch.flip, [builder.axis(dim, x) for dim in dims])


@lowers(aten.roll.default, any_batch_axis=True)
def roll(builder: Builder, x: Any, shifts: Sequence[int], dims: Sequence[int]) -> Node:
    x = builder.node(x)
    if not dims:
        builder.mixing("rolls over all axes, the batch axis included")
    return rearranged(builder, x, torch.roll, list(shifts), [builder.axis(dim, x) for dim in dims])


@lowers(aten.rot90.default, any_batch_axis=True)
def rotate(builder: Builder, x: Any, times: int, dims: Sequence[int]) -> Node:
    x = builder.node(x)
    return rearranged(builder, x, torch.rot90, times, [builder.axis(dim, x) for dim in dims])


@lowers(aten.diagonal.default, any_batch_axis=True)
def diagonal(builder: Builder, x: Any, offset: int, first: int, second: int) -> Node:
    x = builder.node(x)
    return taken_diagonal(builder, x, builder.axis(first, x), builder.axis(second, x), offset)


@lowers(aten.unfold.default, any_batch_axis=True)
def unfold(builder: Builder, x: Any, dim: int, size: int, step: int) -> Node:
    x = builder.node(x)
    return rearranged(builder, x, Tensor.unfold, builder.axis(dim, x), size, step)


@lowers(aten.repeat_interleave.self_int, any_batch_axis=True)
def repeat_interleave(builder: Builder, x: Any, times: int, dim: int | None, _: Any) -> Node:
    x = builder.node(x)
    if dim is None:
        builder.mixing("merges the batch axis with another axis")
    return rearranged(builder, x, torch.repeat_interleave, times, builder.axis(dim, x))


@lowers(aten.repeat.default)
def repeat(builder: Builder, x: Any, times: Sequence[int]) -> Node:
    """Copies side by side along each axis."""
    x = builder.node(x)
    if len(times) != len(x.shape) + 1 or times[0] != 1:
        builder.mixing("repeats the batch, or adds axes before it")
    for axis, count in enumerate(times[1:]):
        x = concatenated(builder, [x] * count, axis) if count else sliced(builder, x, axis, 0, 0)
    return x


@lowers(aten.index_select.default, any_batch_axis=True)
def index_select(builder: Builder, x: Any, dim: int, index: Any) -> Node:
    x = builder.node(x)
    return rearranged(builder, x, torch.index_select, builder.axis(dim, x), _fixed(builder, index))


@lowers(aten.index.Tensor)
def index(builder: Builder, x: Any, indices: Sequence[Any]) -> Node:
    """x[:, i, j, ...] with constant positions."""
    if any(isinstance(each, Node) for each in indices):
        raise Unsupported("its positions depend on the input")
    x = builder.node(x)
    if indices[0] is not None:
        builder.mixing("indexes the batch axis")
    if any(fake.dtype in (torch.bool, torch.uint8) for fake in builder.operands[1:]):
        raise Unsupported("how many entries a mask picks depends on its values; use their positions")
    return rearranged(builder, x, index_by, [_fixed(builder, each) for each in indices[1:]])


def index_by(values: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    """values[i, j, ...], whole axes where an index is absent."""
    return values[tuple(slice(None) if each is None else each for each in indices)]


@lowers(aten.gather.default)
def gather(builder: Builder, x: Any, dim: int, index: Any, _: Any) -> Node:
    x = builder.node(x)
    if isinstance(index, Node):
        raise Unsupported("its positions depend on the input")
    return rearranged(builder, x, torch.gather, builder.axis(dim, x), builder.without_batch_axis(index))


def _fixed(builder: Builder, index: Any) -> Any:
    """A constant index as an expression."""
    if isinstance(index, Node):
        raise Unsupported("its positions depend on the input")
    return index if not isinstance(index, Fixed) else builder.constant(index, "index")


def padded_by_entries(builder: Builder, x: Node, pads: Sequence[int], mode: str) -> Node:
    """Padding whose values are entries of x: mirrored, repeated from the edge, or taken from the other end.

    Negative amounts crop, and what is cropped does not come around from the other end.
    """
    for place, (before, after) in enumerate(zip(pads[::2], pads[1::2], strict=True)):
        axis = len(x.shape) - 1 - place
        if mode == "circular" and min(before, after) < 0:
            kept = range(max(0, -before), x.shape[axis] + min(0, after))
            x, before, after = picked(builder, x, axis, kept), max(0, before), max(0, after)
        extent = x.shape[axis]
        x = picked(builder, x, axis, [_source(at, extent, mode) for at in range(-before, extent + after)])
    return x


def _source(place: int, extent: int, mode: str) -> int:
    """The entry that a place within, before or after an axis shows."""
    if mode == "circular":
        return place % extent
    if mode == "replicate":
        return min(max(place, 0), extent - 1)
    mirrored = abs(place)
    return mirrored if mirrored < extent else 2 * (extent - 1) - mirrored
