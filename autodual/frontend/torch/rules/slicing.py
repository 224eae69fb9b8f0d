"""Lowering of operations that take branches apart and put them side by side: slices, splits, cat and stack."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch

from autodual.frontend.compositions import concatenated, reshaped, sliced
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.operands import Fixed
from autodual.frontend.torch.registry import lowers
from autodual.ir import Node

aten = torch.ops.aten


@lowers(aten.slice.Tensor, any_batch_axis=True)
def slice_axis(builder: Builder, x: Any, dim: int, start: int | None, stop: int | None, step: int) -> Node:
    x = builder.node(x)
    if builder.is_batch_axis(dim, x):
        return whole_batch(builder, x, start, stop, step)
    axis = builder.axis(dim, x)
    return sliced(builder, x, axis, *slice(start, stop, step).indices(x.shape[axis]))


def whole_batch(builder: Builder, x: Node, start: int | None, stop: int | None, step: int) -> Node:
    """`x[:, ...]`: the only slice of the batch axis that keeps every sample."""
    if start not in (None, 0) or step != 1 or (stop is not None and stop < (builder.batch.size or 2**62)):
        builder.mixing("takes a part of the batch")
    return x


@lowers(aten.narrow.default, any_batch_axis=True)
def narrow(builder: Builder, x: Any, dim: int, start: int, length: int) -> Node:
    x = builder.node(x)
    axis = builder.axis(dim, x)
    first = start % x.shape[axis] if start < 0 else start
    return sliced(builder, x, axis, first, first + length)


@lowers(aten.select.int, any_batch_axis=True)
def select(builder: Builder, x: Any, dim: int, index: int) -> Node:
    x = builder.node(x)
    axis = builder.axis(dim, x)
    return _entry(builder, x, axis, index % x.shape[axis])


def _entry(builder: Builder, x: Node, axis: int, index: int) -> Node:
    """Entry `index` along an axis, which disappears."""
    part = sliced(builder, x, axis, index, index + 1)
    return reshaped(builder, part, (*x.shape[:axis], *x.shape[axis + 1 :]))


@lowers(aten.unbind.int, any_batch_axis=True)
def unbind(builder: Builder, x: Any, dim: int) -> tuple[Node, ...]:
    x = builder.node(x)
    axis = builder.axis(dim, x)
    return tuple(_entry(builder, x, axis, index) for index in range(x.shape[axis]))


@lowers(aten.split_with_sizes.default, aten.split.sizes, any_batch_axis=True)
def split_with_sizes(builder: Builder, x: Any, sizes: Sequence[int], dim: int) -> tuple[Node, ...]:
    x = builder.node(x)
    axis = builder.axis(dim, x)
    ends = list(accumulate(sizes))
    return tuple(sliced(builder, x, axis, end - size, end) for size, end in zip(sizes, ends, strict=True))


@lowers(aten.split.Tensor, any_batch_axis=True)
def split(builder: Builder, x: Any, size: int, dim: int) -> tuple[Node, ...]:
    x = builder.node(x)
    axis = builder.axis(dim, x)
    extent = x.shape[axis]
    starts = range(0, extent, size) if size else range(1)
    return tuple(sliced(builder, x, axis, start, min(start + size, extent)) for start in starts)


@lowers(aten.chunk.default, any_batch_axis=True)
def chunk(builder: Builder, x: Any, chunks: int, dim: int) -> tuple[Node, ...]:
    x = builder.node(x)
    axis = builder.axis(dim, x)
    return split(builder, x, -(-x.shape[axis] // chunks), dim)


@lowers(aten.cat.default, any_batch_axis=True)
def cat(builder: Builder, values: Sequence[Any], dim: int) -> Node:
    """Branches side by side; constants become nodes. torch ignores empty tensors of one axis, so do we.

    Other empty branches are left out as well: there is nothing to bound in them.
    """
    kept = [value for value in values if not (isinstance(value, Fixed) and value.shape == (0,))]
    nodes = [builder.node(value) for value in kept]
    nodes = [node for node in nodes if node.size] or nodes[:1]
    axis = builder.axis(dim, nodes[0])
    if any(len(node.shape) != len(nodes[0].shape) for node in nodes):
        raise Unsupported("its branches have different numbers of axes")
    return concatenated(builder, nodes, axis)


@lowers(aten.stack.default, any_batch_axis=True)
def stack(builder: Builder, values: Sequence[Any], dim: int) -> Node:
    nodes = [builder.node(value) for value in values]
    axis = builder.axis(dim, nodes[0], new=True)
    raised = [reshaped(builder, node, (*node.shape[:axis], 1, *node.shape[axis:])) for node in nodes]
    return concatenated(builder, raised, axis)
