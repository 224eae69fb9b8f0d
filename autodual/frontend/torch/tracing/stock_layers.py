"""What stock layers do with samples of one shape, as torch.export would record it, without running them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

aten = torch.ops.aten
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One operation: on what comes in, on a layer's parameters and buffers by name, and on further arguments.

    shape: of one sample of its result. terms: how many products, or numbers, make up a number of the result.
    """

    target: Any
    shape: Shape
    names: Sequence[str] = ()
    further: Sequence[Any] = ()
    terms: int = 1
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def multiplications(self) -> int:
        """Of one sample, at most."""
        return self.terms * math.prod(self.shape)


def step_of(layer: nn.Module, shape: Shape) -> Step | None:
    """The operation that a stock layer is, in inference mode; None for layers not known here, and where the shape does
    not fit. It may raise anything where the layer's attributes are not what its class makes of them.

    Args:
        layer: a layer. Only its class and its attributes are looked at.
        shape: of one sample.

    Example:
        >>> import torch
        >>> from autodual.frontend.torch.tracing.stock_layers import step_of
        >>> step_of(torch.nn.MaxPool2d(2), (3, 8, 9)).shape
        (3, 4, 4)
        >>> step_of(torch.nn.LSTM(3, 4), (5, 3)) is None
        True
    """
    make = _STEPS.get(type(layer))
    return None if make is None else make(layer, shape)


def _linear(layer: Any, shape: Shape) -> Step | None:
    wider, read = layer.weight.shape
    if shape[-1:] != (read,):
        return None
    return Step(aten.linear.default, (*shape[:-1], wider), ("weight", "bias"), (), read)


def _convolution(layer: Any, shape: Shape) -> Step | None:
    target = {2: aten.conv1d.default, 3: aten.conv2d.default, 4: aten.conv3d.default}.get(len(shape))
    odd = layer.padding_mode != "zeros" or isinstance(layer.padding, str)
    channels, read, *kernels = layer.weight.shape
    if target is None or odd or (len(shape) - 1, shape[0]) != (len(kernels), read * layer.groups):
        return None
    how = layer.stride, layer.padding, layer.dilation
    spatial = _windows(shape[1:], kernels, *how)
    if min(spatial) < 1:
        return None
    terms = read * math.prod(kernels)
    return Step(target, (channels, *spatial), ("weight", "bias"), (*how, layer.groups), terms)


def _windows(
    sizes: Shape, kernels: Sequence[int], strides: Sequence[int], paddings: Sequence[int], dilations: Sequence[int]
) -> Shape:
    """How many windows lie along each axis."""
    axes = zip(sizes, kernels, strides, paddings, dilations, strict=True)
    return tuple((size + 2 * pad - gap * (kernel - 1) - 1) // stride + 1 for size, kernel, stride, pad, gap in axes)


def _pooling(layer: Any, shape: Shape, target: Any, axes: int, dilated: bool) -> Step | None:
    kernels, strides, paddings = (_per_axis(one, axes) for one in (layer.kernel_size, layer.stride, layer.padding))
    dilations = _per_axis(layer.dilation if dilated else 1, axes)
    whole = layer.ceil_mode or (layer.return_indices if dilated else getattr(layer, "divisor_override", None))
    wide = any(2 * padding > kernel for padding, kernel in zip(paddings, kernels, strict=True))
    if whole or wide or len(shape) != axes + 1:
        return None
    spatial = _windows(shape[1:], kernels, strides, paddings, dilations)
    if min(spatial) < 1:
        return None
    further = (paddings, dilations, False) if dilated else (paddings, False, layer.count_include_pad)
    return Step(target, (shape[0], *spatial), (), (kernels, strides, *further), math.prod(kernels))


def _per_axis(value: Any, axes: int) -> list[int]:
    return [value] * axes if isinstance(value, int) else list(value)


def _batch_norm(layer: Any, shape: Shape) -> Step | None:
    axes = {nn.BatchNorm1d: (1, 2), nn.BatchNorm2d: (3,), nn.BatchNorm3d: (4,)}[type(layer)]
    known = layer.track_running_stats and layer.running_mean is not None and layer.momentum is not None
    if not known or len(shape) not in axes or (shape[0],) != tuple(layer.running_mean.shape):
        return None
    names = "weight", "bias", "running_mean", "running_var"
    return Step(aten.batch_norm.default, shape, names, (False, layer.momentum, layer.eps, True))


def _flatten(layer: Any, shape: Shape) -> Step | None:
    axes = len(shape) + 1
    first, last = (axis % axes if -axes <= axis < axes else 0 for axis in (layer.start_dim, layer.end_dim))
    if not 0 < first <= last:
        return None
    made = (*shape[: first - 1], math.prod(shape[first - 1 : last]), *shape[last:])
    return Step(aten.flatten.using_ints, made, (), (layer.start_dim, layer.end_dim))


def _gelu(layer: Any, shape: Shape) -> Step:
    return Step(aten.gelu.default, shape, keywords={"approximate": layer.approximate})


def _scalar_by_scalar(target: Any, *attributes: str) -> Callable[[Any, Shape], Step]:
    """Of a layer that applies one function to every number; its attributes are the function's further arguments."""

    def step(layer: Any, shape: Shape) -> Step:
        return Step(target, shape, (), tuple(getattr(layer, name) for name in attributes))

    return step


def _pool(target: Any, axes: int, dilated: bool) -> Callable[[Any, Shape], Step | None]:
    return lambda layer, shape: _pooling(layer, shape, target, axes, dilated)


_STEPS: dict[type[nn.Module], Callable[[Any, Shape], Step | None]] = {
    nn.Linear: _linear,
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), _convolution),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), _batch_norm),
    nn.MaxPool1d: _pool(aten.max_pool1d.default, 1, True),
    nn.MaxPool2d: _pool(aten.max_pool2d.default, 2, True),
    nn.AvgPool2d: _pool(aten.avg_pool2d.default, 2, False),
    nn.Flatten: _flatten,
    nn.ReLU: _scalar_by_scalar(aten.relu.default),
    nn.LeakyReLU: _scalar_by_scalar(aten.leaky_relu.default, "negative_slope"),
    nn.ELU: _scalar_by_scalar(aten.elu.default, "alpha"),
    nn.CELU: _scalar_by_scalar(aten.celu.default, "alpha"),
    nn.SELU: _scalar_by_scalar(aten.selu.default),
    nn.GELU: _gelu,
    nn.SiLU: _scalar_by_scalar(aten.silu.default),
    nn.Mish: _scalar_by_scalar(aten.mish.default),
    nn.Softplus: _scalar_by_scalar(aten.softplus.default, "beta", "threshold"),
    nn.Sigmoid: _scalar_by_scalar(aten.sigmoid.default),
    nn.LogSigmoid: _scalar_by_scalar(aten.log_sigmoid.default),
    nn.Tanh: _scalar_by_scalar(aten.tanh.default),
    **dict.fromkeys((nn.Hardtanh, nn.ReLU6), _scalar_by_scalar(aten.hardtanh.default, "min_val", "max_val")),
    nn.Hardsigmoid: _scalar_by_scalar(aten.hardsigmoid.default),
    nn.Hardswish: _scalar_by_scalar(aten.hardswish.default),
}
