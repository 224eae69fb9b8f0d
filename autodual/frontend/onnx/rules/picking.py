"""Entries at fixed places along one axis, which many operators come down to."""

from __future__ import annotations

from autodual.frontend.compositions import taken
from autodual.frontend.onnx.attributes import placed
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.values import Branch
from autodual.ir import Node
from autodual.ir.ops import Slice


def picked(builder: OnnxBuilder, node: Node, axis: int, entries: list[int]) -> Node:
    """Entries along one axis of a node: a slice where they are evenly spaced, else a fixed gather."""
    extent = node.shape[axis]
    if entries == list(range(extent)):
        return node
    if not entries:
        return builder.emit(Slice(axis, 0, 0), node, shape=(*node.shape[:axis], 0, *node.shape[axis + 1 :]))
    step = entries[1] - entries[0] if len(entries) > 1 else 1
    if entries and step > 0 and entries == list(range(entries[0], entries[-1] + 1, step)):
        shape = (*node.shape[:axis], len(entries), *node.shape[axis + 1 :])
        return builder.emit(Slice(axis, entries[0], entries[-1] + 1, step), node, shape=shape)
    return taken(builder, node, axis, entries)


def picked_along(builder: OnnxBuilder, x: Branch, axis: int, entries: list[int]) -> Branch:
    """Entries along one axis of ONNX."""
    (place,) = placed((axis,), len(x.shape))
    if entries == list(range(x.shape[place])):
        return x
    node, (within,) = builder.along(x, (axis,))
    return builder.branch(
        picked(builder, node, within, entries), (*x.shape[:place], len(entries), *x.shape[place + 1 :])
    )
