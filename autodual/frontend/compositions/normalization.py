"""Normalisation: by stored statistics an affine map, by a sample's own a product of branches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from autodual.frontend.compositions.arithmetic import affine, power, product
from autodual.frontend.compositions.emitter import Emitter
from autodual.frontend.compositions.reductions import mean_square, moments
from autodual.frontend.compositions.shapes import reshaped
from autodual.frontend.constants import apply
from autodual.ir import Expression, Node
from autodual.ir.ops import ElementwiseAffine, Within


def batch_normalised(
    builder: Emitter,
    x: Node,
    mean: Expression,
    variance: Expression,
    weight: Expression | None,
    bias: Expression | None,
    epsilon: float,
    spatial: int,
) -> Node:
    """x · γ/√(σ² + ϵ) + β − γμ/√(σ² + ϵ), per channel (the thesis' Corollary 7, whose printed offset lacks the γ).

    spatial: how many axes follow the channels.
    """
    factor = apply(torch.rsqrt, apply(torch.add, variance, epsilon))
    if weight is not None:
        factor = apply(torch.mul, weight, factor)
    shift = apply(torch.mul, mean, factor)
    offset = apply(torch.neg, shift) if bias is None else apply(torch.sub, bias, shift)
    return scaled_and_shifted(builder, x, per_channel(factor, spatial), per_channel(offset, spatial))


def per_channel(values: Expression | None, spatial: int) -> Expression | None:
    """One number for each channel, broadcast over so many axes behind it."""
    return values if values is None or spatial == 0 else apply(torch.reshape, values, (-1, *(1,) * spatial))


def standardised(builder: Emitter, x: Node, axes: Sequence[int], epsilon: float) -> Node:
    """(x - mean)/√(variance + ε) over some axes: layer, group and instance norm before their weights.

    None of n standardised numbers is larger than √n. The clamp says so, since the product's bounds may be far wider.
    """
    _, centred, variance = moments(builder, x, axes)
    scale = power(builder, affine(builder, variance, offset=epsilon), -0.5)
    largest_possible = math.sqrt(math.prod(x.shape[axis] for axis in axes))
    within = Within(-largest_possible, largest_possible)
    return builder.emit(within, product(builder, centred, scale), shape=x.shape)


def group_standardised(builder: Emitter, x: Node, groups: int, epsilon: float) -> Node:
    """Standardised over each of so many groups of the channels of x `[C, ...]` and all that follows."""
    grouped = reshaped(builder, x, (groups, math.prod(x.shape) // groups))
    return reshaped(builder, standardised(builder, grouped, (1,), epsilon), x.shape)


def divided_by_size(builder: Emitter, x: Node, axes: Sequence[int], epsilon: float) -> Node:
    """x/√(mean x² + ε) over some axes: the RMS norm before its weights."""
    size = affine(builder, mean_square(builder, x, axes), offset=epsilon)
    return product(builder, x, power(builder, size, -0.5))


def scaled_and_shifted(builder: Emitter, x: Node, weight: Expression | None, bias: Expression | None) -> Node:
    """x · weight + bias with parameters that broadcast to one sample."""
    if weight is None and bias is None:
        return x
    return builder.emit(ElementwiseAffine(weight, bias), x, shape=x.shape)
