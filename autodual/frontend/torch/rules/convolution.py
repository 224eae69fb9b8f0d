"""Lowering of convolutions and their transposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.ir import Node
from autodual.ir.ops import Convolution, Pad, TransposedConvolution

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
    if isinstance(padding, str):
        margins, x = _named_padding(builder, x, padding, spatial, gaps)
    else:
        margins = per_axis(padding, len(spatial))
    return builder.emit(Convolution(kernel, offset, steps, margins, gaps, groups), x)


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
    return builder.emit(TransposedConvolution(kernel, offset, steps, margins, extra, gaps, groups), x)


def per_axis(values: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """torch's size arguments, which may give one number for all axes."""
    listed = [values] if isinstance(values, int) else list(values)
    return tuple(listed * axes if len(listed) == 1 else listed)


def _named_padding(
    builder: Builder, x: Node, name: str, kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, ...], Node]:
    """`"valid"` pads nothing, `"same"` as much as keeps the extents; the odd scalar goes after the last entry."""
    if name == "valid":
        return (0,) * len(kernel), x
    totals = [gap * (width - 1) for gap, width in zip(dilation, kernel, strict=True)]
    odd = [total % 2 for total in totals]
    if any(odd):
        pads = tuple(amount for extra in reversed(odd) for amount in (0, extra))
        widened = (extent + extra for extent, extra in zip(x.shape[1:], odd, strict=True))
        x = builder.emit(Pad(pads), x, shape=(x.shape[0], *widened))
    return tuple(total // 2 for total in totals), x
