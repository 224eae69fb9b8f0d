"""Lowering of pooling and of padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from autodual.frontend.compositions import adaptive_maximum, max_pool, padded, require_32_bits
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.operands import Unusable
from autodual.frontend.torch.registry import lowers
from autodual.frontend.torch.rules.convolution import per_axis
from autodual.frontend.torch.rules.indexing import padded_by_entries
from autodual.ir import Node
from autodual.ir.ops import AdaptiveAveragePool, AveragePool

aten = torch.ops.aten

_PLACES = Unusable("the places of maxima have no bounds; use their values")


@lowers(aten.avg_pool1d.default)
def average_pool_1d(builder: Builder, x: Any, *arguments: Any) -> Node:
    return _average_pool(builder, builder.node(x), 1, *arguments)


@lowers(aten.avg_pool2d.default)
def average_pool_2d(builder: Builder, x: Any, *arguments: Any) -> Node:
    return _average_pool(builder, builder.node(x), 2, *arguments)


@lowers(aten.avg_pool3d.default)
def average_pool_3d(builder: Builder, x: Any, *arguments: Any) -> Node:
    return _average_pool(builder, builder.node(x), 3, *arguments)


def _average_pool(
    builder: Builder,
    x: Node,
    axes: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: int | Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None = None,
) -> Node:
    """Samples without channels are pooled alike; with fewer axes the operation would pool over the batch."""
    if len(x.shape) < axes:
        builder.mixing("pools over the batch axis")
    window = per_axis(kernel, axes)
    steps = per_axis(stride, axes) if stride else window
    around = per_axis(padding, axes)
    require_32_bits(window, steps, around)
    pool = AveragePool(window, steps, around, ceil_mode, count_include_pad, divisor)
    return builder.emit(pool, x)


@lowers(
    aten.adaptive_avg_pool1d.default,
    aten.adaptive_avg_pool2d.default,
    aten.adaptive_avg_pool3d.default,
    aten._adaptive_avg_pool2d.default,
    aten._adaptive_avg_pool3d.default,
)
def adaptive_average_pool(builder: Builder, x: Any, size: Sequence[int]) -> Node:
    x = builder.node(x)
    if len(x.shape) < len(size):
        builder.mixing("pools over the batch axis")
    return builder.emit(AdaptiveAveragePool(tuple(size)), x)


@lowers(aten.max_pool1d.default)
def max_pool_1d(builder: Builder, x: Any, *arguments: Any) -> Node:
    return _max_pool(builder, builder.node(x), 1, *arguments)


@lowers(aten.max_pool2d.default)
def max_pool_2d(builder: Builder, x: Any, *arguments: Any) -> Node:
    return _max_pool(builder, builder.node(x), 2, *arguments)


@lowers(aten.max_pool3d.default)
def max_pool_3d(builder: Builder, x: Any, *arguments: Any) -> Node:
    return _max_pool(builder, builder.node(x), 3, *arguments)


@lowers(aten.max_pool1d_with_indices.default)
def max_pool_1d_and_places(builder: Builder, x: Any, *arguments: Any) -> tuple[Node, Unusable]:
    return max_pool_1d(builder, x, *arguments), _PLACES


@lowers(aten.max_pool2d_with_indices.default)
def max_pool_2d_and_places(builder: Builder, x: Any, *arguments: Any) -> tuple[Node, Unusable]:
    return max_pool_2d(builder, x, *arguments), _PLACES


@lowers(aten.max_pool3d_with_indices.default)
def max_pool_3d_and_places(builder: Builder, x: Any, *arguments: Any) -> tuple[Node, Unusable]:
    return max_pool_3d(builder, x, *arguments), _PLACES


def _max_pool(
    builder: Builder,
    x: Node,
    axes: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Node:
    """The result's size says how many windows there are: with ceil_mode the last may end beyond the last entry."""
    if len(x.shape) < axes:
        builder.mixing("pools over the batch axis")
    window = per_axis(kernel, axes)
    steps = per_axis(stride, axes) if stride else window
    size = builder.shape[len(x.shape) - axes :]
    return max_pool(builder, x, window, steps, per_axis(padding, axes), per_axis(dilation, axes), size)


@lowers(aten.adaptive_max_pool1d.default, aten.adaptive_max_pool2d.default, aten.adaptive_max_pool3d.default)
def adaptive_max_pool(builder: Builder, x: Any, size: Sequence[int]) -> tuple[Node, Unusable]:
    x = builder.node(x)
    if len(x.shape) < len(size):
        builder.mixing("pools over the batch axis")
    return adaptive_maximum(builder, x, tuple(size)), _PLACES


@lowers(aten.pad.default)
def pad(builder: Builder, x: Any, pads: Sequence[int], mode: str, value: float | None) -> Node:
    if mode != "constant":
        x = builder.node(x)
        if len(pads) > 2 * len(x.shape):
            builder.mixing("pads the batch axis")
        return padded_by_entries(builder, x, pads, mode)
    return constant_pad(builder, x, pads, value or 0.0)


@lowers(aten.constant_pad_nd.default)
def constant_pad(builder: Builder, x: Any, pads: Sequence[int], value: float) -> Node:
    """`pads` runs from the last axis backwards, two numbers an axis; those of the batch axis must be zero."""
    x = builder.node(x)
    inner = 2 * len(x.shape)
    if any(pads[inner:]):
        builder.mixing("pads the batch axis")
    return padded(builder, x, pads[:inner:2][::-1], pads[1:inner:2][::-1], float(value))
