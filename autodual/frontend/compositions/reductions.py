"""Sums, means, extremes, norms and products over axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autodual.frontend.compositions.arithmetic import (
    absolute,
    absolute_power,
    affine,
    difference,
    maximum,
    power,
    product,
)
from autodual.frontend.compositions.emitter import Emitter
from autodual.frontend.compositions.indexing import entries
from autodual.frontend.compositions.shapes import without_axes
from autodual.ir import Node
from autodual.ir.ops import LogSumExp, Mean, Sum
from autodual.ir.run_formula import OnePassVariance


def summed(builder: Emitter, x: Node, axes: Sequence[int], *, keepdim: bool = True) -> Node:
    """The sum over some axes."""
    return builder.emit(Sum(tuple(axes), keepdim), x, shape=_reduced(x, axes, keepdim))


def mean(builder: Emitter, x: Node, axes: Sequence[int], *, keepdim: bool = True) -> Node:
    """The mean over some axes."""
    return builder.emit(Mean(tuple(axes), keepdim), x, shape=_reduced(x, axes, keepdim))


def _reduced(x: Node, axes: Sequence[int], keepdim: bool) -> tuple[int, ...]:
    """The shape of x reduced over some axes."""
    if keepdim:
        return tuple(1 if axis in axes else extent for axis, extent in enumerate(x.shape))
    return tuple(extent for axis, extent in enumerate(x.shape) if axis not in axes)


def mean_square(builder: Emitter, x: Node, axes: Sequence[int]) -> Node:
    """The mean of x² over some axes, which stay with extent 1."""
    return mean(builder, power(builder, x, 2), axes)


def moments(builder: Emitter, x: Node, axes: Sequence[int]) -> tuple[Node, Node, Node]:
    """The mean over some axes, which stay with extent 1; x less the mean; and the variance, the mean square of that."""
    middle = mean(builder, x, axes)
    centred = difference(builder, x, middle)
    squares, formula = power(builder, centred, 2), OnePassVariance((x.name,), tuple(axes))
    shape = _reduced(x, axes, True)
    return middle, centred, builder.emit(Mean(tuple(axes), True), squares, shape=shape, formula=formula)


def power_sum(builder: Emitter, x: Node, axes: Sequence[int], order: float) -> Node:
    """Σ|x|ᵖ over some axes, which stay with extent 1."""
    return summed(builder, absolute_power(builder, x, order), axes)


def norm(builder: Emitter, x: Node, axes: Sequence[int], order: float = 2.0) -> Node:
    """(Σ|x|ᵖ)^(1/p) over some axes, which stay with extent 1; the largest |x| for p = ∞, the smallest for p = -∞."""
    if math.isinf(order):
        extreme = largest if order > 0 else smallest
        return extreme(builder, absolute(builder, x), axes)
    return power(builder, power_sum(builder, x, axes, order), 1 / order)


def largest(builder: Emitter, x: Node, axes: Sequence[int], *, keepdim: bool = True) -> Node:
    """The maximum over some axes, as the maximum of one branch for each entry along them."""
    parts = [x]
    for axis in axes:
        parts = [entry for part in parts for entry in entries(builder, part, axis)]
    found = maximum(builder, *parts)
    return found if keepdim else without_axes(builder, found, axes)


def smallest(builder: Emitter, x: Node, axes: Sequence[int], *, keepdim: bool = True) -> Node:
    """The minimum over some axes."""
    return affine(builder, largest(builder, affine(builder, x, -1.0), axes, keepdim=keepdim), -1.0)


def log_sum_exp(builder: Emitter, x: Node, axes: Sequence[int], *, keepdim: bool = True) -> Node:
    """log Σeˣ over one axis after the other: the logarithm of a sum of sums."""
    for axis in axes:
        x = builder.emit(LogSumExp(axis), x, shape=_reduced(x, (axis,), True))
    return x if keepdim else without_axes(builder, x, axes)


def running_products(builder: Emitter, x: Node, axis: int) -> list[Node]:
    """The first entry along an axis, the product of the first two, and so on."""
    first, *others = entries(builder, x, axis)
    products = [first]
    for entry in others:
        products.append(product(builder, products[-1], entry))
    return products
