"""Lowering of activation functions that are more than one declared op of one scalar."""

from __future__ import annotations

from typing import Any

import torch

from autodual.frontend.compositions import affine, difference, hard_sigmoid, product, sliced, thresholded, total
from autodual.frontend.constants import apply
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.ir import Node
from autodual.ir.expressions import number
from autodual.ir.ops import (
    Erf,
    LeakyRelu,
    Sigmoid,
    Softplus,
    Softshrink,
    Step,
)

aten = torch.ops.aten


@lowers(aten.erfc.default, any_batch_axis=True)
def complementary_error_function(builder: Builder, x: Any) -> Node:
    """1 - erf(x)."""
    return affine(builder, builder.emit(Erf(), builder.node(x)), -1.0, 1.0)


@lowers(aten.log_sigmoid.default, any_batch_axis=True)
def log_sigmoid(builder: Builder, x: Any) -> Node:
    """-softplus(-x); beyond a threshold of 40 the two differ by less than rounding in float64."""
    negative = affine(builder, builder.node(x), -1.0)
    return affine(builder, builder.emit(Softplus(1.0, 40.0), negative), -1.0)


@lowers(aten.rrelu.default)
def randomised_leaky_relu(builder: Builder, x: Any, lower: float, upper: float, training: bool, *_: Any) -> Node:
    """In evaluation mode, a leaky ReLU of the mean slope."""
    if training:
        raise Unsupported("its slopes are random while training; evaluate the model")
    return builder.emit(LeakyRelu(number((lower + upper) / 2)), builder.node(x))


@lowers(aten.prelu.default, aten._prelu_kernel.default)
def prelu(builder: Builder, x: Any, weight: Any) -> Node:
    """One slope for everything, or one a channel, which is the first axis of a sample."""
    x = builder.node(x)
    slope = builder.constant(weight, "slope")
    assert slope is not None
    wide = (-1, *(1,) * (len(x.shape) - 1)) if x.shape else ()
    return builder.emit(LeakyRelu(apply(torch.reshape, slope, wide)), x)


@lowers(aten.hardsigmoid.default, any_batch_axis=True)
def hardsigmoid(builder: Builder, x: Any) -> Node:
    """x / 6 + 1/2, between 0 and 1."""
    return hard_sigmoid(builder, builder.node(x), 1 / 6, 0.5)


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
