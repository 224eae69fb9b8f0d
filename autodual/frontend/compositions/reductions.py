"""Reductions over axes, and softmax."""

from __future__ import annotations

from collections.abc import Sequence

from autodual.frontend.compositions.arithmetic import absolute, maximum, power, quotient, scaled
from autodual.frontend.compositions.emitter import Emitter, Reader
from autodual.frontend.compositions.shapes import reshaped
from autodual.frontend.constants import apply, mask_weights
from autodual.ir import Expression, Node
from autodual.ir.ops import ElementwiseAffine, Exp, LogSoftmax, Mean, Slice, Sum

#: Beyond this a mask's entry leaves nothing of what it is added to, and as a number it only spoils bounds.
MASKED_OUT = -100.0


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


def masked_softmax(builder: Reader, x: Node, axis: int) -> Node:
    """The softmax of x; where x is a branch plus a mask m that rules entries out, by the weights eᵐ.

    Both forms are the softmax. That of the weights has no number in it that is infinite, or as good as infinite.
    """
    mask = x.op.offset if isinstance(x.op, ElementwiseAffine) else None
    if mask is None or not bool((builder.value(mask) < MASKED_OUT).any()):
        return softmax(builder, x, axis)
    assert isinstance(x.op, ElementwiseAffine)
    scores = builder.named(x.inputs[0])
    if x.op.factor is not None:
        scores = builder.emit(ElementwiseAffine(x.op.factor), scores, shape=x.shape)
    weights: Expression = apply(mask_weights, mask, axis - len(x.shape))
    return weighted_softmax(builder, scores, weights, axis)
