"""Entries at fixed places along one axis of an ONNX value, for the rules of many operators."""

from __future__ import annotations

from autodual.frontend.compositions import picked
from autodual.frontend.onnx.attributes import placed
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch


def picked_along(builder: OnnxBuilder, x: Branch, axis: int, entries: list[int]) -> Branch:
    """The entries at some places along one axis of a value."""
    (place,) = placed((axis,), len(x.shape))
    if entries == list(range(x.shape[place])):
        return x
    node, (within,) = builder.along(x, (axis,))
    return builder.branch(
        picked(builder, node, within, entries), (*x.shape[:place], len(entries), *x.shape[place + 1 :])
    )
