"""Lowering of normalisation: by running statistics an affine map, by a sample's own a product of branches."""

from __future__ import annotations

from typing import Any

import torch

from autodual.frontend.compositions import (
    batch_normalised,
    divided_by_size,
    group_standardised,
    per_channel,
    scaled_and_shifted,
    standardised,
)
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.operands import Unusable
from autodual.frontend.torch.registry import lowers
from autodual.frontend.torch.widening import spacing
from autodual.ir import Node

aten = torch.ops.aten

_TRAINING = "normalises by the statistics of the batch, as in training mode (call model.eval() before the export)"
_STATISTICS = Unusable("the statistics of a normalisation serve training alone; use its first result")


@lowers(aten.batch_norm.default)
def batch_norm(
    builder: Builder, x: Any, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, *rest: Any
) -> Node:
    """By the running statistics; those of the batch, in training mode, would mix samples."""
    _, epsilon, _ = rest
    if training and mean is not None:
        builder.mixing(_TRAINING)
    if training or mean is None or variance is None:
        builder.mixing("normalises by the statistics of the batch")
    return _normalised(builder, builder.node(x), weight, bias, mean, variance, epsilon)


@lowers(aten._native_batch_norm_legit_no_training.default)
def native_batch_norm(
    builder: Builder, x: Any, weight: Any, bias: Any, mean: Any, variance: Any, momentum: float, epsilon: float
) -> tuple[Node, Unusable, Unusable]:
    """The form after decomposition, with two more results, which only training reads."""
    return _normalised(builder, builder.node(x), weight, bias, mean, variance, epsilon), _STATISTICS, _STATISTICS


@lowers(
    aten._native_batch_norm_legit.default,
    aten._native_batch_norm_legit.no_stats,
    aten._native_batch_norm_legit_functional.default,
    aten.native_batch_norm.default,
)
def training_batch_norm(builder: Builder, *_: Any) -> Node:
    if "no_stats" not in str(builder.target):
        builder.mixing(_TRAINING)
    builder.mixing("normalises by the statistics of the batch")


@lowers(aten.layer_norm.default, any_batch_axis=True)
def layer_norm(builder: Builder, x: Any, shape: Any, weight: Any, bias: Any, epsilon: float, *_: Any) -> Node:
    """Standardised over the last axes, then one factor and one offset for each place along them."""
    x = builder.node(x)
    axes = [builder.axis(-place - 1, x) for place in range(len(shape))]
    gamma, beta = builder.constant(weight, "weight"), builder.constant(bias, "bias")
    return scaled_and_shifted(builder, standardised(builder, x, axes, epsilon), gamma, beta)


@lowers(aten.native_layer_norm.default, any_batch_axis=True)
def native_layer_norm(builder: Builder, x: Any, *arguments: Any) -> tuple[Node, Unusable, Unusable]:
    return layer_norm(builder, x, *arguments), _STATISTICS, _STATISTICS


@lowers(aten.group_norm.default)
def group_norm(builder: Builder, x: Any, groups: int, weight: Any, bias: Any, epsilon: float, *_: Any) -> Node:
    """Standardised over each of so many groups of channels, then one factor and one offset a channel."""
    x = builder.node(x)
    if not x.shape:
        builder.mixing("takes the batch axis for the channels")
    parameters = (builder.constant(weight, "weight"), builder.constant(bias, "bias"))
    gamma, beta = (per_channel(values, len(x.shape) - 1) for values in parameters)
    return scaled_and_shifted(builder, group_standardised(builder, x, groups, epsilon), gamma, beta)


@lowers(aten.native_group_norm.default, reads_batch_size=True)
def native_group_norm(
    builder: Builder, x: Any, weight: Any, bias: Any, batch: Any, channels: int, size: int, groups: int, epsilon: float
) -> tuple[Node, Unusable, Unusable]:
    return group_norm(builder, x, groups, weight, bias, epsilon), _STATISTICS, _STATISTICS


@lowers(aten.instance_norm.default)
def instance_norm(
    builder: Builder,
    x: Any,
    weight: Any,
    bias: Any,
    mean: Any,
    variance: Any,
    own_statistics: bool,
    momentum: float,
    epsilon: float,
    *_: Any,
) -> Node:
    """One group a channel, or the running statistics if the module keeps them."""
    x = builder.node(x)
    if not own_statistics:
        return _normalised(builder, x, weight, bias, mean, variance, epsilon)
    return group_norm(builder, x, x.shape[0] if x.shape else 1, weight, bias, epsilon)


@lowers(aten.rms_norm.default, any_batch_axis=True)
def rms_norm(builder: Builder, x: Any, shape: Any, weight: Any, epsilon: float | None) -> Node:
    """x/√(mean x² + ε) over the last axes; without ε, the spacing of the type in which torch computes the input's."""
    x = builder.node(x)
    axes = [builder.axis(-place - 1, x) for place in range(len(shape))]
    gap = spacing(builder.result.dtype) if epsilon is None else epsilon
    return scaled_and_shifted(builder, divided_by_size(builder, x, axes, gap), builder.constant(weight, "weight"), None)


def _normalised(builder: Builder, x: Node, weight: Any, bias: Any, mean: Any, variance: Any, epsilon: float) -> Node:
    if not x.shape:
        builder.mixing("takes the batch axis for the channels")
    mu, sigma_squared = builder.constant(mean, "running mean"), builder.constant(variance, "running variance")
    gamma, beta = builder.constant(weight, "weight"), builder.constant(bias, "bias")
    assert mu is not None and sigma_squared is not None
    return batch_normalised(builder, x, mu, sigma_squared, gamma, beta, epsilon, len(x.shape) - 1)
