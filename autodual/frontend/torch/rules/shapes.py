"""Lowering of operations that give the same scalars another shape, order or number of axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import torch

from autodual.frontend.compositions import broadcast, permuted, reshaped
from autodual.frontend.constants import apply
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.layout import Displaced, Layout
from autodual.frontend.torch.operands import Fixed
from autodual.frontend.torch.registry import lowers
from autodual.ir import Expression, Node

aten = torch.ops.aten


@lowers(
    aten.view.default,
    aten.reshape.default,
    aten._unsafe_view.default,
    aten.flatten.using_ints,
    aten.unflatten.int,
    reads_batch_size=True,
    any_batch_axis=True,
)
def view(builder: Builder, x: Any, *_: Any) -> Displaced:
    """Row-major order keeps the samples apart if a whole number of entries lies before and behind the batch axis.

    The new batch axis is merged with what of these entries the new axes before and behind it do not hold.
    """
    x = builder.node(x)
    layout = builder.layout or Layout(len(x.shape))
    shape = builder.result.shape
    found = builder.batch.place(shape)
    if found is None:
        builder.mixing("merges the batch axis with another axis")
    axis, entries = found
    split = layout.place(x)
    before = prod(x.shape[:split]) * layout.outer
    outer, rest = divmod(before, prod(map(int, shape[:axis])) or 1)
    inner = entries // outer if outer else 0
    if rest or outer * inner != entries or prod(map(int, shape[axis + 1 :])) * inner * before != x.size:
        builder.mixing("merges the batch axis with another axis")
    wanted = Layout(len(shape) - 1 - axis, outer, inner)
    sample = (*map(int, shape[:axis]), *wanted.merged, *map(int, shape[axis + 1 :]))
    return Displaced(reshaped(builder, x, sample), wanted)


@lowers(aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims, any_batch_axis=True)
def squeeze(builder: Builder, x: Any, dims: int | Sequence[int] | None = None) -> Node:
    x = builder.node(x)
    if dims is None:
        if builder.batch.size == 1:
            builder.mixing("removes the batch axis")
        return reshaped(builder, x, builder.shape)
    axes = [builder.axis(dim, x) for dim in ([dims] if isinstance(dims, int) else dims)]
    kept = (extent for axis, extent in enumerate(x.shape) if axis not in axes or extent != 1)
    return reshaped(builder, x, tuple(kept))


@lowers(aten.unsqueeze.default, any_batch_axis=True)
def unsqueeze(builder: Builder, x: Any, dim: int) -> Node:
    x = builder.node(x)
    axis = builder.axis(dim, x, new=True)
    return reshaped(builder, x, (*x.shape[:axis], 1, *x.shape[axis:]))


@lowers(aten.permute.default, any_batch_axis=True)
def permute(builder: Builder, x: Any, dims: Sequence[int]) -> Displaced:
    x = builder.node(x)
    layout = builder.layout or Layout(len(x.shape))
    batch = layout.place(x)
    rank = len(dims)
    order: list[int] = []
    for dim in (dim % rank for dim in dims):
        own = range(batch, batch + len(layout.merged)) if dim == batch else [layout.sample_axis(dim, x)]
        order.extend(own)
    after = rank - 1 - [dim % rank for dim in dims].index(batch)
    if after != rank - 1 and builder.batch.size is not None:
        builder.mixing("moves the batch axis away from axis 0")
    return Displaced(permuted(builder, x, order), replace(layout, after=after))


@lowers(aten.transpose.int, aten.swapaxes.default, any_batch_axis=True)
def transpose(builder: Builder, x: Any, first: int, second: int) -> Displaced:
    x = builder.node(x)
    order = list(range(len(builder.result.shape)))
    order[first], order[second] = order[second], order[first]
    return permute(builder, x, order)


@lowers(aten.t.default, aten.numpy_T.default, any_batch_axis=True)
def reverse_axes(builder: Builder, x: Any) -> Displaced:
    return permute(builder, x, range(len(builder.result.shape) - 1, -1, -1))


@lowers(aten.mT.default, any_batch_axis=True)
def transpose_matrix(builder: Builder, x: Any) -> Displaced:
    return transpose(builder, x, -2, -1)


@lowers(
    aten.expand.default,
    aten.expand_as.default,
    aten.broadcast_to.default,
    reads_batch_size=True,
    any_batch_axis=True,
)
def expand(builder: Builder, x: Any, *_: Any) -> Node:
    x = builder.node(x)
    shape = builder.shape
    found = builder.batch.place(builder.result.shape)
    layout = builder.layout or Layout(len(x.shape))
    if found is None or len(builder.result.shape) - 1 - found[0] != layout.after:
        builder.mixing("broadcasts the batch axis along another axis")
    return broadcast(builder, x, shape)


def _filled(builder: Builder, shape: tuple[int, ...], value: float) -> Expression:
    """A constant as torch rounds it."""
    return apply(torch.full, shape, value, dtype=builder.result.dtype)


@lowers(aten.full_like.default)
def full_like(builder: Builder, x: Any, value: float, *_: Any) -> Fixed:
    """A constant of the input's shape: the same for every sample."""
    return Fixed(None, tuple(builder.result.shape), _filled(builder, builder.shape, value))


@lowers(aten.new_full.default, reads_batch_size=True)
def new_full(builder: Builder, x: Any, size: Any, value: float, *_: Any) -> Fixed:
    """A constant that borrows only its dtype from the input; it may have a batch axis."""
    if builder.batch.sample_shape(builder.result.shape) is not None:
        return full_like(builder, x, value)
    return Fixed(_filled(builder, tuple(size), value), tuple(builder.result.shape))
