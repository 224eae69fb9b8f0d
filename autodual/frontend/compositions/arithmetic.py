"""Arithmetic of branches."""

from __future__ import annotations

from autodual.frontend.compositions.emitter import Emitter
from autodual.frontend.compositions.shapes import alike
from autodual.ir import Expression, Node
from autodual.ir.expressions import number
from autodual.ir.ops import Add, ElementwiseAffine, LeakyRelu, Maximum, Multiply, Power, Subtract


def affine(builder: Emitter, x: Node, factor: float | None = None, offset: float | None = None) -> Node:
    """x · factor + offset."""
    op = ElementwiseAffine(None if factor is None else number(factor), None if offset is None else number(offset))
    return builder.emit(op, x, shape=x.shape)


def scaled(builder: Emitter, x: Node, factor: Expression) -> Node:
    """x times a constant that broadcasts to one sample."""
    return builder.emit(ElementwiseAffine(factor), x, shape=x.shape)


def power(builder: Emitter, x: Node, exponent: float) -> Node:
    """x to a constant exponent."""
    return x if exponent == 1 else builder.emit(Power(float(exponent)), x, shape=x.shape)


def product(builder: Emitter, x: Node, y: Node) -> Node:
    """The product of two branches; a branch times itself is its square, whose bounds are tighter."""
    if x is y:
        return power(builder, x, 2)
    x, y = alike(builder, x, y)
    return builder.emit(Multiply(), x, y, shape=x.shape)


def quotient(builder: Emitter, x: Node, y: Node) -> Node:
    """The quotient of two branches."""
    return product(builder, x, power(builder, y, -1))


def total(builder: Emitter, x: Node, y: Node) -> Node:
    """The sum of two branches."""
    x, y = alike(builder, x, y)
    return builder.emit(Add(), x, y, shape=x.shape)


def difference(builder: Emitter, x: Node, y: Node) -> Node:
    """The difference of two branches."""
    x, y = alike(builder, x, y)
    return builder.emit(Subtract(), x, y, shape=x.shape)


def absolute(builder: Emitter, x: Node) -> Node:
    """|x|: a leaky ReLU of slope -1."""
    return builder.emit(LeakyRelu(number(-1)), x, shape=x.shape)


def absolute_power(builder: Emitter, x: Node, order: float) -> Node:
    """|x|ᵖ; of an even order p no |x| is needed."""
    return power(builder, x if order % 2 == 0 else absolute(builder, x), order)


def maximum(builder: Emitter, *branches: Node) -> Node:
    """The elementwise maximum of branches."""
    branches = tuple(dict.fromkeys(alike(builder, *branches)))
    return branches[0] if len(branches) == 1 else builder.emit(Maximum(), *branches, shape=branches[0].shape)


def minimum(builder: Emitter, *branches: Node) -> Node:
    """The elementwise minimum of branches."""
    return affine(builder, maximum(builder, *(affine(builder, branch, -1.0) for branch in branches)), -1.0)
