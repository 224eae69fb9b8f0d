"""Lowering of operations that give the same scalars another shape, order or number of axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch

from autodual.frontend.builder import Builder
from autodual.frontend.registry import lowers
from autodual.frontend.values import Fixed, apply
from autodual.ir import Expression, Node
from autodual.ir.ops import Permute, Reshape

aten = torch.ops.aten


def reshape_to(builder: Builder, x: Node, shape: tuple[int, ...]) -> Node:
    """One sample of `x` in another shape; rows stay in order, so samples stay apart."""
    return x if x.shape == shape else builder.emit(Reshape(shape), x, shape=shape)


@lowers(
    aten.view.default,
    aten.reshape.default,
    aten._unsafe_view.default,
    aten.flatten.using_ints,
    aten.unflatten.int,
    reads_batch_size=True,
)
def view(builder: Builder, x: Any, *_: Any) -> Node:
    """Row-major order keeps each sample in one piece exactly if axis 0 is as long as before."""
    x = builder.node(x)
    if prod(builder.shape) != x.size:
        builder.mixing("merges the batch axis with another axis")
    return reshape_to(builder, x, builder.shape)


@lowers(aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims)
def squeeze(builder: Builder, x: Any, dims: int | Sequence[int] | None = None) -> Node:
    x = builder.node(x)
    if dims is None:
        if builder.batch.size == 1:
            builder.mixing("removes the batch axis")
        return reshape_to(builder, x, tuple(extent for extent in x.shape if extent != 1))
    axes = [builder.axis(dim, x) for dim in ([dims] if isinstance(dims, int) else dims)]
    kept = (extent for axis, extent in enumerate(x.shape) if axis not in axes or extent != 1)
    return reshape_to(builder, x, tuple(kept))


@lowers(aten.unsqueeze.default)
def unsqueeze(builder: Builder, x: Any, dim: int) -> Node:
    x = builder.node(x)
    axis = builder.axis(dim, x, new=True)
    return reshape_to(builder, x, (*x.shape[:axis], 1, *x.shape[axis:]))


@lowers(aten.permute.default)
def permute(builder: Builder, x: Any, dims: Sequence[int]) -> Node:
    x = builder.node(x)
    rank = len(x.shape) + 1
    order = [dim % rank for dim in dims]
    if order[0] != 0:
        builder.mixing("moves the batch axis away from axis 0")
    return permuted(builder, x, [place - 1 for place in order[1:]])


@lowers(aten.transpose.int)
def transpose(builder: Builder, x: Any, first: int, second: int) -> Node:
    x = builder.node(x)
    rank = len(x.shape) + 1
    order = list(range(rank))
    order[first], order[second] = order[second], order[first]
    return permute(builder, x, order)


@lowers(aten.t.default, aten.numpy_T.default)
def reverse_axes(builder: Builder, x: Any) -> Node:
    x = builder.node(x)
    return permute(builder, x, range(len(x.shape), -1, -1))


def permuted(builder: Builder, x: Node, order: Sequence[int]) -> Node:
    """One sample's axes in another order."""
    if list(order) == list(range(len(x.shape))):
        return x
    shape = tuple(x.shape[axis] for axis in order)
    return builder.emit(Permute(tuple(order)), x, shape=shape)


@lowers(aten.expand.default, aten.expand_as.default, aten.broadcast_to.default, reads_batch_size=True)
def expand(builder: Builder, x: Any, *_: Any) -> Node:
    x = builder.node(x)
    if len(builder.shape) != len(x.shape):
        builder.mixing("adds axes before the batch axis")
    return builder.expand(x, builder.shape)


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
