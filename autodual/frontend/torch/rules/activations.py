"""Lowering of activation functions: those that are one op, and those that are a piecewise linear map of one."""

from __future__ import annotations

from typing import Any

import torch

from autodual.frontend.compositions import affine, difference, hard_sigmoid, product, sliced, thresholded, total
from autodual.frontend.constants import apply, number
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.ir import Node, Op
from autodual.ir.ops import (
    Clamp,
    Elu,
    Erf,
    Exp,
    Gelu,
    HardSwish,
    LeakyRelu,
    Log,
    Mish,
    Relu,
    Sigmoid,
    Silu,
    Softplus,
    Softshrink,
    Step,
    Tanh,
)

aten = torch.ops.aten

#: Operations of one operand that an op without attributes computes.
_PLAIN: dict[Any, Op] = {
    aten.relu.default: Relu(),
    aten.sigmoid.default: Sigmoid(),
    aten.tanh.default: Tanh(),
    aten.erf.default: Erf(),
    aten.silu.default: Silu(),
    aten.mish.default: Mish(),
    aten.hardswish.default: HardSwish(),
    aten.exp.default: Exp(),
    aten.log.default: Log(),
}


@lowers(*_PLAIN, any_batch_axis=True)
def plain(builder: Builder, x: Any) -> Node:
    return builder.emit(_PLAIN[builder.target], builder.node(x))


@lowers(aten.erfc.default, any_batch_axis=True)
def complementary_error_function(builder: Builder, x: Any) -> Node:
    return affine(builder, builder.emit(Erf(), builder.node(x)), -1.0, 1.0)


@lowers(aten.gelu.default, any_batch_axis=True)
def gelu(builder: Builder, x: Any, approximate: str) -> Node:
    return builder.emit(Gelu(approximate == "tanh"), builder.node(x))


@lowers(aten.softplus.default, any_batch_axis=True)
def softplus(builder: Builder, x: Any, beta: float, threshold: float) -> Node:
    if not beta > 0:
        raise Unsupported("softplus needs a positive beta")
    return builder.emit(Softplus(float(beta), float(threshold)), builder.node(x))


@lowers(aten.log_sigmoid.default, any_batch_axis=True)
def log_sigmoid(builder: Builder, x: Any) -> Node:
    """-softplus(-x); beyond a threshold of 40 the two differ by less than rounding in float64."""
    negative = affine(builder, builder.node(x), -1.0)
    return affine(builder, builder.emit(Softplus(1.0, 40.0), negative), -1.0)


@lowers(aten.leaky_relu.default, any_batch_axis=True)
def leaky_relu(builder: Builder, x: Any, slope: float) -> Node:
    return builder.emit(LeakyRelu(number(slope)), builder.node(x))


@lowers(aten.rrelu.default)
def randomised_leaky_relu(builder: Builder, x: Any, lower: float, upper: float, training: bool, *_: Any) -> Node:
    if training:
        raise Unsupported("its slopes are random while training; evaluate the model")
    return leaky_relu(builder, x, (lower + upper) / 2)


@lowers(aten.prelu.default, aten._prelu_kernel.default)
def prelu(builder: Builder, x: Any, weight: Any) -> Node:
    """One slope for everything, or one a channel, which is the first axis of a sample."""
    x = builder.node(x)
    slope = builder.constant(weight, "slope")
    assert slope is not None
    wide = (-1, *(1,) * (len(x.shape) - 1)) if x.shape else ()
    return builder.emit(LeakyRelu(apply(torch.reshape, slope, wide)), x)


@lowers(aten.abs.default, any_batch_axis=True)
def absolute(builder: Builder, x: Any) -> Node:
    return leaky_relu(builder, x, -1)


@lowers(aten.elu.default, any_batch_axis=True)
def elu(builder: Builder, x: Any, alpha: float, scale: float, input_scale: float) -> Node:
    return builder.emit(Elu(float(alpha), float(scale), float(input_scale)), builder.node(x))


@lowers(aten.selu.default, any_batch_axis=True)
def selu(builder: Builder, x: Any) -> Node:
    """The constants of the paper that introduced it, as torch has them."""
    return elu(builder, x, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1.0)


@lowers(aten.celu.default, any_batch_axis=True)
def celu(builder: Builder, x: Any, alpha: float) -> Node:
    return elu(builder, x, alpha, 1.0, 1.0 / alpha)


@lowers(aten.hardtanh.default, aten.clamp.default, aten.clip.default, any_batch_axis=True)
def clamp(builder: Builder, x: Any, lower: float | None, upper: float | None) -> Node:
    bounds = [None if bound is None else float(bound) for bound in (lower, upper)]
    return builder.emit(Clamp(*bounds), builder.node(x))


@lowers(aten.clamp_min.default, any_batch_axis=True)
def clamp_below(builder: Builder, x: Any, lower: float) -> Node:
    return clamp(builder, x, lower, None)


@lowers(aten.clamp_max.default, any_batch_axis=True)
def clamp_above(builder: Builder, x: Any, upper: float) -> Node:
    return clamp(builder, x, None, upper)


@lowers(aten.relu6.default, any_batch_axis=True)
def relu6(builder: Builder, x: Any) -> Node:
    return clamp(builder, x, 0, 6)


@lowers(aten.hardsigmoid.default, any_batch_axis=True)
def hardsigmoid(builder: Builder, x: Any) -> Node:
    return hard_sigmoid(builder, builder.node(x), 1 / 6, 0.5)


@lowers(aten.softshrink.default, any_batch_axis=True)
def softshrink(builder: Builder, x: Any, width: float) -> Node:
    return builder.emit(Softshrink(float(width)), builder.node(x))


@lowers(aten.hardshrink.default, any_batch_axis=True)
def hardshrink(builder: Builder, x: Any, width: float) -> Node:
    """A soft shrink and the jump at either end of the gap."""
    x = builder.node(x)
    shrunk = builder.emit(Softshrink(float(width)), x)
    above = builder.emit(Step(), affine(builder, x, offset=-width))
    below = builder.emit(Step(), affine(builder, x, -1.0, -width))
    return total(builder, shrunk, affine(builder, difference(builder, above, below), float(width)))


@lowers(aten.threshold.default, any_batch_axis=True)
def threshold(builder: Builder, x: Any, limit: float, value: float) -> Node:
    return thresholded(builder, builder.node(x), float(limit), float(value))


@lowers(aten.glu.default)
def gated_linear_unit(builder: Builder, x: Any, dim: int) -> Node:
    """The first half of an axis times the sigmoid of the second."""
    x = builder.node(x)
    axis = builder.axis(dim, x)
    half = x.shape[axis] // 2
    value, gate = (sliced(builder, x, axis, at, at + half) for at in (0, half))
    return product(builder, value, builder.emit(Sigmoid(), gate))
