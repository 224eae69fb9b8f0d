"""Other shapes, other orders of axes, and broadcasting."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from autodual.frontend.compositions.emitter import Emitter
from autodual.ir import Node
from autodual.ir.ops import Expand, Permute, Reshape


def reshaped(builder: Emitter, x: Node, shape: Sequence[int]) -> Node:
    """The same scalars in another shape."""
    return x if x.shape == tuple(shape) else builder.emit(Reshape(tuple(shape)), x, shape=tuple(shape))


def permuted(builder: Emitter, x: Node, order: Sequence[int]) -> Node:
    """The axes in another order; a reshape where only axes of extent 1 move."""
    shape = tuple(x.shape[axis] for axis in order)
    moving = [axis for axis in order if x.shape[axis] != 1]
    if moving == sorted(moving):
        return reshaped(builder, x, shape)
    return builder.emit(Permute(tuple(order)), x, shape=shape)


def without_axes(builder: Emitter, x: Node, axes: Sequence[int]) -> Node:
    """x without some of its axes, which have extent 1."""
    return reshaped(builder, x, [extent for axis, extent in enumerate(x.shape) if axis not in axes])


def broadcast(builder: Emitter, x: Node, shape: Sequence[int]) -> Node:
    """Leading axes added and axes of extent 1 repeated until one sample has `shape`."""
    shape = tuple(shape)
    x = reshaped(builder, x, (1,) * (len(shape) - len(x.shape)) + x.shape)
    return x if x.shape == shape else builder.emit(Expand(shape), x, shape=shape)


def alike(builder: Emitter, *nodes: Node) -> tuple[Node, ...]:
    """All nodes in the shape that they broadcast to together."""
    shape = torch.broadcast_shapes(*(node.shape for node in nodes))
    return tuple(broadcast(builder, node, shape) for node in nodes)
