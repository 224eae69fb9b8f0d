"""Normalisation of a sample by its own statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autodual.frontend.compositions.arithmetic import affine, difference, power, product, quotient
from autodual.frontend.compositions.emitter import Emitter
from autodual.frontend.compositions.reductions import mean, norm
from autodual.frontend.compositions.shapes import reshaped
from autodual.ir import Expression, Node
from autodual.ir.ops import Clamp, ElementwiseAffine


def standardised(builder: Emitter, x: Node, axes: Sequence[int], epsilon: float) -> Node:
    """(x - mean)/√(variance + ε) over some axes: layer, group and instance norm before their weights.

    None of n standardised numbers is larger than √n, which their product's bounds do not know where x varies much.
    """
    centred = difference(builder, x, mean(builder, x, axes))
    variance = mean(builder, power(builder, centred, 2), axes)
    scale = power(builder, affine(builder, variance, offset=epsilon), -0.5)
    largest_possible = math.sqrt(math.prod(x.shape[axis] for axis in axes))
    clamp = Clamp(-largest_possible, largest_possible)
    return builder.emit(clamp, product(builder, centred, scale), shape=x.shape)


def group_standardised(builder: Emitter, x: Node, groups: int, epsilon: float) -> Node:
    """Standardised over each of so many groups of the channels of x `[C, ...]` and all that follows."""
    grouped = reshaped(builder, x, (groups, math.prod(x.shape) // groups))
    return reshaped(builder, standardised(builder, grouped, (1,), epsilon), x.shape)


def unit_length(builder: Emitter, x: Node, axes: Sequence[int], order: float, epsilon: float) -> Node:
    """x/max(‖x‖, ε) over some axes."""
    length = norm(builder, x, axes, order)
    return quotient(builder, x, builder.emit(Clamp(lower=epsilon), length, shape=length.shape))


def scaled_and_shifted(builder: Emitter, x: Node, weight: Expression | None, bias: Expression | None) -> Node:
    """x · weight + bias with parameters that broadcast to one sample."""
    if weight is None and bias is None:
        return x
    return builder.emit(ElementwiseAffine(weight, bias), x, shape=x.shape)
