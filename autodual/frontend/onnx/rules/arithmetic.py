"""Rules of elementwise arithmetic between branches and constants."""

from __future__ import annotations

from functools import reduce

import numpy as np
import torch

from autodual.frontend import compositions
from autodual.frontend.constants import apply
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.ir.expressions import number
from autodual.ir.ops import Add, Clamp, ElementwiseAffine, Exp, Maximum, Relu, Subtract


@onnx_op("Add")
def add(builder: OnnxBuilder, _: Attributes, x: Value, y: Value) -> Branch:
    if isinstance(x, Branch) and isinstance(y, Branch):
        if x.node is y.node:
            return builder.scaled(x, 2.0)
        nodes, shape = builder.alike(x, y)
        return builder.branch(builder.emit(Add(), *nodes), shape)
    branch, constant = _apart(x, y)
    return builder.affine(branch, offset=constant)


@onnx_op("Sub")
def subtract(builder: OnnxBuilder, _: Attributes, x: Value, y: Value) -> Branch:
    if isinstance(x, Branch) and isinstance(y, Branch):
        nodes, shape = builder.alike(x, y)
        return builder.branch(builder.emit(Subtract(), *nodes), shape)
    if isinstance(y, Static):
        assert isinstance(x, Branch)
        return builder.affine(x, offset=Static(-y.array))
    assert isinstance(x, Static)
    return builder.affine(y, factor=Static(np.array(-1.0)), offset=x)


@onnx_op("Mul")
def multiply(builder: OnnxBuilder, _: Attributes, x: Value, y: Value) -> Branch:
    if isinstance(x, Branch) and isinstance(y, Branch):
        if x.node is y.node:
            return builder.branch(compositions.power(builder, x.node, 2), np.broadcast_shapes(x.shape, y.shape))
        nodes, shape = builder.alike(x, y)
        return builder.branch(compositions.fused_product(builder, *nodes), shape)
    branch, constant = _apart(x, y)
    return builder.affine(branch, factor=constant)


@onnx_op("Div")
def divide(builder: OnnxBuilder, _: Attributes, x: Value, y: Value) -> Branch:
    if builder.dtype.kind != "f":
        raise Unsupported("it divides whole numbers that depend on the network's input")
    if isinstance(y, Static):
        assert isinstance(x, Branch)
        if not y.array.all():
            raise Unsupported("it divides by zero")
        shape = tuple(np.broadcast_shapes(x.shape, y.shape))
        if y.array.size == 1:
            factor = number(1 / float(y.array.reshape(())))
        else:
            factor = apply(torch.reciprocal, builder.beside(y, shape))
        return builder.branch(builder.emit(ElementwiseAffine(factor), builder.node(x, shape)), shape)
    if isinstance(x, Branch):
        nodes, shape = builder.alike(x, y)
        found = compositions.fused_quotient(builder, *nodes)
        if found is not None:
            return builder.branch(found, shape)
    reciprocal = builder.branch(compositions.power(builder, y.node, -1), y.shape)
    return multiply(builder, _, x, reciprocal)


@onnx_op("Pow")
def power(builder: OnnxBuilder, _: Attributes, x: Value, y: Value) -> Branch:
    """A power with a constant exponent, or with a constant base."""
    if isinstance(y, Static):
        assert isinstance(x, Branch)
        if y.array.size == 0 or (y.array != y.array.reshape(-1)[0]).any():
            raise Unsupported("its exponents differ from entry to entry")
        shape = tuple(np.broadcast_shapes(x.shape, y.shape))
        return builder.branch(compositions.power(builder, builder.node(x, shape), float(y.array.reshape(-1)[0])), shape)
    if isinstance(x, Static):
        if (x.array <= 0).any():
            raise Unsupported(
                "it raises a constant that is not positive to a power that depends on the network's input"
            )
        return builder.unary(Exp(), builder.affine(y, factor=Static(np.log(x.array.astype(np.float64)))))
    raise Unsupported("both base and exponent depend on the network's input")


@onnx_op("Neg")
def negate(builder: OnnxBuilder, _: Attributes, x: Branch) -> Branch:
    return builder.scaled(x, -1.0)


@onnx_op("Sum")
def total(builder: OnnxBuilder, attributes: Attributes, *values: Value) -> Value:
    return reduce(lambda x, y: _folded_or(add, builder, attributes, x, y), values)


@onnx_op("Mean")
def average(builder: OnnxBuilder, attributes: Attributes, *values: Value) -> Branch:
    summed = total(builder, attributes, *values)
    assert isinstance(summed, Branch)
    return builder.scaled(summed, 1 / len(values))


@onnx_op("Max")
def maximum(builder: OnnxBuilder, _: Attributes, *values: Value) -> Branch:
    """The maximum of branches and at most one constant."""
    branches = [value for value in values if isinstance(value, Branch)]
    constants = [value.array for value in values if isinstance(value, Static)]
    nodes, shape = builder.alike(*branches)
    nodes = tuple(dict.fromkeys(nodes))
    node = nodes[0] if len(nodes) == 1 else builder.emit(Maximum(), *nodes)
    found = builder.branch(node, shape)
    return at_least(builder, found, Static(reduce(np.maximum, constants))) if constants else found


@onnx_op("Min")
def minimum(builder: OnnxBuilder, attributes: Attributes, *values: Value) -> Branch:
    flipped = [Static(-v.array) if isinstance(v, Static) else builder.scaled(v, -1.0) for v in values]
    if len([value for value in flipped if isinstance(value, Branch)]) == 1:
        branch, constant = (
            next(v for v in values if isinstance(v, Branch)),
            [v for v in values if isinstance(v, Static)],
        )
        if all(_uniform(v.array) for v in constant) and constant:
            lowest = min(float(v.array.reshape(-1)[0]) for v in constant)
            shape = np.broadcast_shapes(*(value.shape for value in values))
            return builder.branch(builder.emit(Clamp(upper=lowest), builder.node(branch, shape)), shape)
    return builder.scaled(maximum(builder, attributes, *flipped), -1.0)


def at_least(builder: OnnxBuilder, x: Branch, floor: Static) -> Branch:
    """max(x, floor): a ReLU of the difference, where the constant is not the same everywhere."""
    shape = tuple(np.broadcast_shapes(x.shape, floor.shape))
    node = builder.node(x, shape)
    if _uniform(floor.array):
        level = float(floor.array.reshape(-1)[0])
        return builder.branch(builder.emit(Clamp(lower=level) if level else Relu(), node), shape)
    above = builder.affine(builder.branch(node, shape), offset=Static(-floor.array))
    return builder.affine(builder.unary(Relu(), above), offset=floor)


def _uniform(array: np.ndarray) -> bool:
    return array.size > 0 and bool((array == array.reshape(-1)[0]).all())


def _apart(x: Value, y: Value) -> tuple[Branch, Static]:
    """The operand that depends on the input, then the constant one."""
    if isinstance(x, Branch):
        assert isinstance(y, Static)
        return x, y
    assert isinstance(y, Branch)
    return y, x


def _folded_or(rule, builder: OnnxBuilder, attributes: Attributes, x: Value, y: Value) -> Value:
    if isinstance(x, Static) and isinstance(y, Static):
        return Static(x.array + y.array)
    return rule(builder, attributes, x, y)
