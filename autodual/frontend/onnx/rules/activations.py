"""Rules of functions of each scalar that are more than one declared op, and of softmax."""

from __future__ import annotations

import math
from math import prod
from typing import Any

import numpy as np

from autodual.frontend import compositions
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, first_read_only
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.rules.arithmetic import add, maximum, minimum, multiply, subtract
from autodual.ir import Node
from autodual.ir.ops import (
    Clamp,
    LeakyRelu,
    Relu,
    Silu,
    Softshrink,
)


@onnx_op("Swish")
def swish(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    """x / (1 + e^(-alpha x))."""
    alpha = attributes.get("alpha", 1.0)
    if alpha == 0:
        return builder.scaled(x, 0.5)
    return builder.scaled(builder.unary(Silu(), builder.scaled(x, alpha)), 1 / alpha)


@onnx_op("SwiGLU")
def gated_swish(builder: OnnxBuilder, attributes: Attributes, gate: Value, x: Value) -> Branch:
    """The swish of one operand times the other."""
    assert isinstance(gate, Branch)
    return multiply(builder, attributes, swish(builder, attributes, gate), x)


@onnx_op("HardSigmoid")
def hard_sigmoid(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    alpha, beta = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    return builder.branch(compositions.hard_sigmoid(builder, x.node, alpha, beta), x.shape)


@onnx_op("Shrink")
def shrink(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    bias, width = attributes.get("bias", 0.0), attributes.get("lambd", 0.5)
    if bias != width or width < 0:
        raise Unsupported("its bias differs from its lambd, so it jumps")
    return builder.unary(Softshrink(width), x)


@onnx_op("ThresholdedRelu")
def thresholded_relu(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    """x where x > alpha, else 0."""
    return builder.branch(compositions.thresholded(builder, x.node, attributes.get("alpha", 1.0)), x.shape)


@onnx_op("PRelu")
def prelu(builder: OnnxBuilder, attributes: Attributes, x: Value, slope: Value) -> Branch:
    """max(x, 0) - slope · max(-x, 0)."""
    if isinstance(slope, Static):
        assert isinstance(x, Branch)
        # Old operator sets broadcast a slope per channel `[C]` along axis 1.
        array = slope.array
        if attributes.opset < 7 and array.ndim == 1:
            array = array.reshape(-1, *[1] * (len(x.shape) - 2))
        weight = Static(array, slope.initializer) if array is slope.array else Static(array)
        return builder.unary(LeakyRelu(builder.beside(weight, x.shape)), x)
    if isinstance(x, Static):
        positive, negative = Static(np.maximum(x.array, 0)), Static(np.minimum(x.array, 0))
        return add(builder, attributes, positive, multiply(builder, attributes, slope, negative))
    below = builder.unary(Relu(), builder.scaled(x, -1.0))
    return subtract(builder, attributes, builder.unary(Relu(), x), multiply(builder, attributes, slope, below))


@onnx_op("Clip")
def clip(builder: OnnxBuilder, attributes: Attributes, x: Value, low: Any = None, high: Any = None) -> Branch:
    """Ends are attributes before operator set 11, operands since."""
    if attributes.opset < 11:
        low, high = (
            None if end is None else Static(np.array(end)) for end in (attributes.get("min"), attributes.get("max"))
        )
    if isinstance(x, Branch) and all(end is None or isinstance(end, Static) for end in (low, high)):
        lower, upper = _end(low, -math.inf), _end(high, math.inf)
        if lower is not None and upper is not None and lower > upper:
            raise Unsupported(f"its lower end {lower} exceeds its upper end {upper}")
        if lower is None and upper is None:
            return x
        return builder.unary(Relu() if lower == 0 and upper is None else Clamp(lower, upper), x)
    raised = x if low is None else maximum(builder, attributes, x, low)
    return raised if high is None else minimum(builder, attributes, raised, high)  # type: ignore[return-value]


def _end(end: Static | None, nowhere: float) -> float | None:
    value = nowhere if end is None or not end.array.size else float(end.array.reshape(()))
    if math.isnan(value):
        raise Unsupported("an end of its range is NaN")
    # Exporters write the largest float32 where they mean no end at all.
    largest = float(np.finfo(np.float32).max)
    return None if value in (nowhere, math.copysign(largest, nowhere)) else value


# --- softmax ---------------------------------------------------------------------------------------------------------


@onnx_op("LogSoftmax")
def log_softmax(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    node, axis = _one_axis(builder, attributes, x)
    return builder.branch(compositions.log_softmax(builder, node, axis), x.shape)


@onnx_op("Softmax")
def softmax(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    return builder.branch(compositions.masked_softmax(builder, *_one_axis(builder, attributes, x)), x.shape)


def _one_axis(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> tuple[Node, int]:
    """The node and the axis along which softmax works; before operator set 13 it flattens all axes from `axis` on."""
    if attributes.opset >= 13:
        node, (axis,) = builder.along(x, (attributes.get("axis", -1),))
        return node, axis
    rank = len(x.shape)
    first = attributes.get("axis", 1)
    first = first + rank if first < 0 else first
    if not 0 <= first <= rank:
        raise Unsupported(f"it works along axis {first} of a value with {rank} axes")
    flat = builder.branch(x.node, (prod(x.shape[:first]), prod(x.shape[first:])))
    node, (axis,) = builder.along(flat, (1,))
    return node, axis


# --- what changes nothing --------------------------------------------------------------------------------------------


@onnx_op("Identity")
def identity(builder: OnnxBuilder, _: Attributes, x: Branch) -> Branch:
    return x


@onnx_op("Dropout")
def dropout(
    builder: OnnxBuilder, attributes: Attributes, x: Branch, ratio: Any = None, training: Static | None = None
) -> Branch:
    """Does nothing outside training."""
    first_read_only(attributes, "masks")
    if training is not None and (not isinstance(training, Static) or training.array.any()):
        raise Unsupported("it is in training mode, so its result is random")
    return x
