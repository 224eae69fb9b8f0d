"""Activation functions that are a few ops, and products that together are one activation function."""

from __future__ import annotations

import math

from autodual.frontend.compositions.arithmetic import affine, difference, product
from autodual.frontend.compositions.comparisons import positive
from autodual.frontend.compositions.emitter import Emitter, Reader
from autodual.ir import Node
from autodual.ir.expressions import is_number, literal
from autodual.ir.ops import (
    Clamp,
    ElementwiseAffine,
    Erf,
    Floor,
    Gelu,
    HardSwish,
    LeakyRelu,
    Mish,
    Relu,
    Sigmoid,
    Silu,
    Softplus,
    Softsign,
    Step,
    Tanh,
)


def hard_sigmoid(builder: Emitter, x: Node, slope: float, offset: float) -> Node:
    """slope · x + offset, cut off below 0 and above 1."""
    return builder.emit(Clamp(0.0, 1.0), affine(builder, x, slope, offset), shape=x.shape)


def thresholded(builder: Emitter, x: Node, limit: float, value: float = 0.0) -> Node:
    """x where x > limit, else a value; only where that value is the limit there is no jump."""
    if value == limit:
        return builder.emit(Clamp(lower=limit), x, shape=x.shape)
    above = positive(builder, affine(builder, x, offset=-limit))
    if value == 0:
        return product(builder, above, x)
    return affine(builder, product(builder, above, affine(builder, x, offset=-value)), offset=value)


def truncated(builder: Emitter, x: Node) -> Node:
    """x rounded towards zero: the floor of its positive part less that of its negative part."""
    parts = (builder.emit(Relu(), part, shape=x.shape) for part in (x, affine(builder, x, -1.0)))
    return difference(builder, *(builder.emit(Floor(), part, shape=x.shape) for part in parts))


# --- products and quotients that are one function of one scalar -------------------------------------------------------
#
# Bounded as a product, x · sigmoid(x) forgets that both factors move together; as one function it does not. Each
# function below is the same function of real numbers as the product, whatever the constants are.


def fused_product(builder: Reader, x: Node, y: Node) -> Node:
    """The product of two branches of one shape; one activation function where the product is one."""
    return _activation(builder, x, y) or _activation(builder, y, x) or product(builder, x, y)


def _activation(builder: Reader, x: Node, gate: Node) -> Node | None:
    """x · gate as a function of x, or None."""
    if x.shape != gate.shape or not gate.inputs:
        return None
    if gate.inputs == (x.name,) and isinstance(gate.op, Sigmoid):
        return builder.emit(Silu(), x, shape=x.shape)
    if gate.inputs == (x.name,) and isinstance(gate.op, Step):
        return builder.emit(Relu(), x, shape=x.shape)
    inner = builder.named(gate.inputs[0])
    if isinstance(gate.op, Tanh) and _is_usual_softplus(inner) and inner.inputs == (x.name,):
        return builder.emit(Mish(), x, shape=x.shape)
    if _is_relu6(gate) and _line(inner) == (1.0, 3.0) and inner.inputs == (x.name,):
        return affine(builder, builder.emit(HardSwish(), x, shape=x.shape), 6.0)
    return _gelu(builder, x, gate)


def _is_relu6(node: Node) -> bool:
    return isinstance(node.op, Clamp) and (node.op.lower, node.op.upper) == (0.0, 6.0)


def _is_usual_softplus(node: Node) -> bool:
    usual = Softplus()
    return isinstance(node.op, Softplus) and (node.op.beta, node.op.threshold) == (usual.beta, usual.threshold)


def _gelu(builder: Reader, x: Node, gate: Node) -> Node | None:
    """x · (1 + erf(cx)) = 2/(c√2) · gelu(c√2 · x), and the same for a multiple of x."""
    if _line(gate) != (1.0, 1.0):
        return None
    error = builder.named(gate.inputs[0])
    if not isinstance(error.op, Erf):
        return None
    scaled = builder.named(error.inputs[0])
    slope, offset = _line(scaled) or (None, None)
    if slope is None or offset != 0 or slope <= 0:
        return None
    argument = builder.named(scaled.inputs[0])
    multiple = 1.0
    if x.name != argument.name:
        multiple, shift = _line(x) or (0.0, 1.0)
        if shift != 0 or x.inputs != (argument.name,):
            return None
    width = slope * math.sqrt(2)
    inner = affine(builder, argument, width)
    return affine(builder, builder.emit(Gelu(), inner, shape=x.shape), 2 * multiple / width)


def _line(node: Node) -> tuple[float, float] | None:
    """The factor and the offset of a node that multiplies by a number and adds another; None for other nodes."""
    if not isinstance(node.op, ElementwiseAffine):
        return None
    factor, offset = literal(node.op.factor, 1.0), literal(node.op.offset, 0.0)
    return None if factor is None or offset is None else (factor, offset)


def fused_quotient(builder: Reader, x: Node, y: Node) -> Node | None:
    """x/y as one function where y is 1 + |x|, else None."""
    if not (isinstance(y.op, ElementwiseAffine) and y.op.factor is None and is_number(y.op.offset, 1)):
        return None
    magnitude = builder.named(y.inputs[0])
    if not (isinstance(magnitude.op, LeakyRelu) and is_number(magnitude.op.slope, -1)):
        return None
    return builder.emit(Softsign(), x, shape=x.shape) if magnitude.inputs == (x.name,) else None
