"""Products that exporters write where a network has one activation function, whose own bounds are tighter.

Each replacement is the same function of real numbers, whatever the constants in the file are.
"""

from __future__ import annotations

import math

from autodual.frontend.constants import number, scalar
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.ir import Call, Expression, Node
from autodual.ir.ops import Clamp, ElementwiseAffine, Erf, Gelu, HardSwish, Mish, Sigmoid, Silu, Softplus, Tanh


def fused_product(builder: OnnxBuilder, x: Node, y: Node) -> Node | None:
    """The product of two nodes of one shape as an activation function of one of them, or None."""
    return _activation(builder, x, y) or _activation(builder, y, x)


def _activation(builder: OnnxBuilder, x: Node, gate: Node) -> Node | None:
    if x.shape != gate.shape:
        return None
    if isinstance(gate.op, Sigmoid) and gate.inputs == (x.name,):
        return builder.emit(Silu(), x)
    if isinstance(gate.op, Tanh):
        inner = builder.named(gate.inputs[0])
        if isinstance(inner.op, Softplus) and inner.inputs == (x.name,):
            return builder.emit(Mish(), x)
    if isinstance(gate.op, Clamp) and (gate.op.lower, gate.op.upper) == (0.0, 6.0):
        inner = builder.named(gate.inputs[0])
        if _affine(inner) == (1.0, 3.0) and inner.inputs == (x.name,):
            return builder.emit(ElementwiseAffine(number(6.0)), builder.emit(HardSwish(), x))
    return _gelu(builder, x, gate)


def _gelu(builder: OnnxBuilder, x: Node, gate: Node) -> Node | None:
    """x · (1 + erf(cx)) = 2/(c√2) · gelu(c√2 · x), and the same for a multiple of x."""
    if _affine(gate) != (1.0, 1.0):
        return None
    error = builder.named(gate.inputs[0])
    if not isinstance(error.op, Erf):
        return None
    line = builder.named(error.inputs[0])
    slope, offset = _affine(line) or (None, None)
    if slope is None or offset != 0 or slope <= 0:
        return None
    argument = builder.named(line.inputs[0])
    multiple = 1.0
    if x.name != argument.name:
        multiple, shift = _affine(x) or (0.0, 1.0)
        if shift != 0 or x.inputs != (argument.name,):
            return None
    width = slope * math.sqrt(2)
    scaled = builder.emit(ElementwiseAffine(number(width)), argument)
    return builder.emit(ElementwiseAffine(number(2 * multiple / width)), builder.emit(Gelu(), scaled))


def _affine(node: Node) -> tuple[float, float] | None:
    """Factor and offset of a node that multiplies by a number and adds one."""
    if not isinstance(node.op, ElementwiseAffine):
        return None
    factor, offset = _literal(node.op.factor, 1.0), _literal(node.op.offset, 0.0)
    return None if factor is None or offset is None else (factor, offset)


def _literal(expression: Expression | None, absent: float) -> float | None:
    if expression is None:
        return absent
    return float(expression.args[0]) if isinstance(expression, Call) and expression.target is scalar else None
