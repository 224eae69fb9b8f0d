"""Lowering of convolutions and their transposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from autodual.frontend.compositions import convolved, same_padding, transposed_convolved
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.ir import Node

aten = torch.ops.aten


@lowers(aten.conv1d.default, aten.conv2d.default, aten.conv3d.default)
@lowers(aten.conv1d.padding, aten.conv2d.padding, aten.conv3d.padding)
def convolve(
    builder: Builder,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Sequence[int],
    padding: Sequence[int] | str,
    dilation: Sequence[int],
    groups: int,
) -> Node:
    """A convolution over the axes after the channels."""
    x = builder.node(x)
    kernel, offset = builder.constant(weight, "weight"), builder.constant(bias, "bias")
    assert kernel is not None
    spatial = tuple(weight.shape[2:])
    if len(x.shape) != len(spatial) + 1:
        builder.mixing("takes the batch axis for the channels of a single unbatched input")
    steps, gaps = (per_axis(values, len(spatial)) for values in (stride, dilation))
    if padding == "same":
        margins = same_padding(x.shape[1:], spatial, steps, gaps)
    else:
        margins = (per_axis(0 if isinstance(padding, str) else padding, len(spatial)),) * 2
    return convolved(builder, x, kernel, offset, weight.shape, steps, margins, gaps, groups)


@lowers(aten.convolution.default)
def convolution(builder: Builder, x: Any, weight: Any, bias: Any, *geometry: Any) -> Node:
    """The general form that decomposed programs contain."""
    stride, padding, dilation, transposed, output_padding, groups = geometry
    if transposed:
        return transposed_convolution(builder, x, weight, bias, stride, padding, output_padding, groups, dilation)
    return convolve(builder, x, weight, bias, stride, padding, dilation, groups)


@lowers(aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input)
def transposed_convolution(
    builder: Builder,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
    dilation: Sequence[int],
) -> Node:
    """The transpose of a convolution over the axes after the channels."""
    x = builder.node(x)
    kernel, offset = builder.constant(weight, "weight"), builder.constant(bias, "bias")
    assert kernel is not None
    axes = len(weight.shape) - 2
    if len(x.shape) != axes + 1:
        builder.mixing("takes the batch axis for the channels of a single unbatched input")
    steps, margins, extra, gaps = (per_axis(values, axes) for values in (stride, padding, output_padding, dilation))
    both = (margins, margins)
    return transposed_convolved(builder, x, kernel, offset, weight.shape, steps, both, extra, gaps, groups)


def per_axis(values: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """One number for each axis of an argument that may give one for all."""
    listed = [values] if isinstance(values, int) else list(values)
    return tuple(listed * axes if len(listed) == 1 else listed)
