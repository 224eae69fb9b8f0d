"""Rules of normalisations."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodual.frontend import compositions
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, first_read_only, fixed, placed
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.ir import Node
from autodual.ir.ops import Within


@onnx_op("BatchNormalization")
def batch_norm(
    builder: OnnxBuilder, attributes: Attributes, x: Value, scale: Value, bias: Value, mean: Value, variance: Value
) -> Branch:
    """(x - mean) · scale / √(variance + ε) + bias for each channel, with the stored statistics."""
    first_read_only(attributes, "running statistics")
    if attributes.get("training_mode", 0):
        raise Unsupported("it is in training mode, so it mixes samples")
    if attributes.get("spatial", 1) == 0:
        raise Unsupported("its statistics are per entry (spatial=0)")
    assert isinstance(x, Branch)
    gain, shift = builder.weight(fixed(scale, "scales")), builder.weight(fixed(bias, "biases"))
    centre, spread = builder.constant(fixed(mean, "means")), builder.constant(fixed(variance, "variances"))
    spatial, epsilon = max(len(x.shape) - 2, 0), float(attributes.get("epsilon", 1e-5))
    found = compositions.batch_normalised(builder, x.node, centre, spread, gain, shift, epsilon, spatial)
    return builder.branch(found, x.shape)


@onnx_op("LayerNormalization")
def layer_norm(builder: OnnxBuilder, attributes: Attributes, x: Value, scale: Any = None, bias: Any = None) -> Branch:
    """Standardised over all axes from one on."""
    first_read_only(attributes, "statistics")
    assert isinstance(x, Branch)
    (first,) = placed((attributes.get("axis", -1),), len(x.shape))
    node, axes = builder.along(x, range(first, len(x.shape)))
    result = compositions.standardised(builder, node, axes, attributes.get("epsilon", 1e-5))
    return _weighted(builder, builder.branch(result, x.shape), scale, bias)


@onnx_op("RMSNormalization")
def rms_norm(builder: OnnxBuilder, attributes: Attributes, x: Value, scale: Any = None) -> Branch:
    """x / √(mean x² + ε) over all axes from one on."""
    assert isinstance(x, Branch)
    (first,) = placed((attributes.get("axis", -1),), len(x.shape))
    node, axes = builder.along(x, range(first, len(x.shape)))
    result = compositions.divided_by_size(builder, node, axes, attributes.get("epsilon", 1e-5))
    return _weighted(builder, builder.branch(result, x.shape), scale, None)


def _weighted(builder: OnnxBuilder, x: Branch, scale: Any, bias: Any) -> Branch:
    gain = None if scale is None else fixed(scale, "scales")
    shift = None if bias is None else fixed(bias, "biases")
    return x if gain is None and shift is None else builder.affine(x, gain, shift)


@onnx_op("InstanceNormalization")
def instance_norm(builder: OnnxBuilder, attributes: Attributes, x: Value, scale: Value, bias: Value) -> Branch:
    """Each channel standardised over its spatial axes."""
    assert isinstance(x, Branch)
    node, axes = builder.along(x, range(2, len(x.shape)))
    result = compositions.standardised(builder, node, axes, attributes.get("epsilon", 1e-5))
    return _per_channel(builder, builder.branch(result, x.shape), scale, bias)


@onnx_op("GroupNormalization")
def group_norm(builder: OnnxBuilder, attributes: Attributes, x: Value, scale: Value, bias: Value) -> Branch:
    """Groups of channels standardised; weights are per group before operator set 21, per channel since."""
    assert isinstance(x, Branch)
    groups = attributes.get("num_groups")
    epsilon = attributes.get("epsilon", 1e-5)

    def rule(sample: Node) -> Node:
        return compositions.group_standardised(builder, sample, groups, epsilon)

    result = builder.per_sample(x, rule)
    if attributes.opset < 21:
        repeats = x.shape[1] // groups
        scale, bias = (Static(np.repeat(fixed(v, "weights").array, repeats)) for v in (scale, bias))
    return _per_channel(builder, result, scale, bias)


def _per_channel(builder: OnnxBuilder, x: Branch, scale: Value, bias: Value) -> Branch:
    weights = (builder.weight(fixed(scale, "scales")), builder.weight(fixed(bias, "biases")))
    gain, shift = (compositions.per_channel(values, len(x.shape) - 2) for values in weights)
    return builder.branch(compositions.scaled_and_shifted(builder, x.node, gain, shift), x.shape)


@onnx_op("LpNormalization")
def unit_length(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    """x / ‖x‖ over one axis; 0 where ‖x‖ is 0, as in onnxruntime, by a divisor that is 1 there.

    No entry is beyond ±1. The clamp says so, since the product's bounds may be far wider.
    """
    node, axes = builder.along(x, (attributes.get("axis", -1),))
    length = compositions.norm(builder, node, axes, float(attributes.get("p", 2)))
    zero = compositions.negation(builder, compositions.positive(builder, length))
    divisor = compositions.total(builder, length, zero)
    within = builder.emit(Within(-1.0, 1.0), compositions.quotient(builder, node, divisor), shape=node.shape)
    return builder.branch(within, x.shape)


@onnx_op("MeanVarianceNormalization")
def standardise(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    node, axes = builder.along(x, attributes.get("axes", (0, 2, 3)))
    return builder.branch(compositions.standardised(builder, node, axes, 1e-9), x.shape)


@onnx_op("LRN")
def local_response(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    """x / (bias + alpha/size · Σ x²)^beta, the sum over neighbouring channels."""
    size, alpha = attributes.get("size"), attributes.get("alpha", 1e-4)
    builder.reserve(2 * x.shape[1] ** 2)
    channels = np.arange(x.shape[1])
    gap = channels[None, :] - channels[:, None]
    band = ((gap >= -((size - 1) // 2)) & (gap <= size // 2)).astype(np.float64) * (alpha / size)
    matrix = builder.constant(band)

    def rule(sample: Node) -> Node:
        squares = compositions.power(builder, sample, 2)
        sums = compositions.weighed_along(builder, squares, 0, matrix, x.shape[1])
        base = compositions.affine(builder, sums, offset=attributes.get("bias", 1.0))
        return compositions.product(builder, sample, compositions.power(builder, base, -attributes.get("beta", 0.75)))

    return builder.per_sample(x, rule)
