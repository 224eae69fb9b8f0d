"""Rules of matrix products."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch

from autodual.frontend import compositions
from autodual.frontend.constants import apply
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.rules.arithmetic import add
from autodual.frontend.onnx.rules.shapes import transposed
from autodual.ir import Expression
from autodual.ir.ops import Linear


@onnx_op("MatMul")
def matmul(builder: OnnxBuilder, _: Attributes, x: Value, y: Value) -> Branch:
    """A product over the last axis of x and the last but one of y, as in numpy."""
    shape = _product_shape(x.shape, y.shape)
    if isinstance(x, Branch) and isinstance(y, Branch):
        left = builder.branch(x.node, (1, *x.shape)) if len(x.shape) == 1 else x
        right = builder.branch(y.node, (*y.shape, 1)) if len(y.shape) == 1 else y
        node = compositions.matrix_product(builder, builder.full(left), builder.full(right))
        return builder.branch(node, shape)
    if isinstance(y, Static):
        assert isinstance(x, Branch)
        if prod(y.shape[:-2]) == 1:
            return _from_right(builder, x, y, shape)
    return _stacked(builder, x, y, shape)


def _from_right(builder: OnnxBuilder, x: Branch, y: Static, shape: tuple[int, ...]) -> Branch:
    """x @ y with one constant matrix or vector."""
    weight = builder.weight(y)
    if len(y.shape) == 1:
        weight = apply(torch.unsqueeze, weight, 0)
    elif len(y.shape) == 2:
        weight = apply(torch.t, weight)
    else:
        weight = apply(torch.t, apply(torch.reshape, weight, tuple(y.shape[-2:])))
    return linear(builder, x, weight, None, 1 if len(y.shape) == 1 else y.shape[-1], shape)


def linear(
    builder: OnnxBuilder, x: Branch, weight: Expression, bias: Expression | None, out: int, shape: tuple[int, ...]
) -> Branch:
    """A fully connected layer over the last axis, whose result has the ONNX shape `shape`."""
    node = builder.emit(Linear(weight, bias), x.node, shape=(*x.node.shape[:-1], out))
    return builder.branch(node, shape)


def _stacked(builder: OnnxBuilder, x: Value, y: Value, shape: tuple[int, ...]) -> Branch:
    """A product with a constant from the left, or with a stack of constant matrices."""
    left = (1, *x.shape) if len(x.shape) == 1 else x.shape
    right = (*y.shape, 1) if len(y.shape) == 1 else y.shape
    from_left = isinstance(x, Static)
    branch, constant, extents, sizes = (y, x, right, left) if from_left else (x, y, left, right)
    assert isinstance(constant, Static) and isinstance(branch, Branch)
    node = compositions.reshaped(builder, branch.node, extents)
    matrices = builder.weight(constant)
    if constant.shape != sizes:
        matrices = apply(torch.reshape, matrices, tuple(sizes))
    found = compositions.stacked_product(builder, node, matrices, sizes, from_left=from_left)
    return builder.branch(found, shape)


def _product_shape(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    if not left or not right or left[-1] != right[-2 if len(right) > 1 else 0]:
        raise Unsupported(f"its operands have the shapes {left} and {right}, whose product does not exist")
    outer = tuple(np.broadcast_shapes(left[:-2], right[:-2]))
    return (*outer, *(left[-2:-1] if len(left) > 1 else ()), *(right[-1:] if len(right) > 1 else ()))


@onnx_op("Gemm")
def gemm(builder: OnnxBuilder, attributes: Attributes, a: Value, b: Value, c: Value | None = None) -> Value:
    """alpha · A @ B + beta · C, either matrix transposed first."""
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise Unsupported("its operands are not matrices")
    if attributes.get("transA", 0):
        a = _turned(builder, a)
    turned = bool(attributes.get("transB", 0))
    offset = None if beta == 0 else c
    if isinstance(a, Branch) and isinstance(b, Static):
        return _layer(builder, attributes, a, b, turned, alpha, beta, offset)
    product = matmul(builder, attributes, a, _turned(builder, b) if turned else b)
    scaled = product if alpha == 1 else builder.scaled(product, alpha)
    if offset is None:
        return scaled
    if isinstance(offset, Static):
        return builder.affine(scaled, offset=offset if beta == 1 else Static(offset.array * np.float32(beta)))
    return add(builder, attributes, scaled, offset if beta == 1 else builder.scaled(offset, beta))


def _layer(
    builder: OnnxBuilder,
    attributes: Attributes,
    a: Branch,
    b: Static,
    turned: bool,
    alpha: float,
    beta: float,
    c: Any,
) -> Value:
    """A product with a constant matrix; an offset that is the same in all rows becomes the layer's bias."""
    out = b.shape[0 if turned else 1]
    if a.shape[1] != b.shape[1 if turned else 0]:
        raise Unsupported(f"its operands have the shapes {a.shape} and {b.shape}, whose product does not exist")
    weight = builder.weight(b)
    weight = weight if turned else apply(torch.t, weight)
    weight = weight if alpha == 1 else apply(torch.mul, weight, float(alpha))
    shape = (a.shape[0], out)
    shared = isinstance(c, Static) and c.shape in ((out,), (1, out))
    bias = None
    if shared:
        bias = builder.weight(c)
        bias = bias if c.shape == (out,) else apply(torch.squeeze, bias, 0)
        bias = bias if beta == 1 else apply(torch.mul, bias, float(beta))
    product = linear(builder, a, weight, bias, out, shape)
    if c is None or shared:
        return product
    scaled = c
    if beta != 1:
        scaled = Static(c.array * np.float32(beta)) if isinstance(c, Static) else builder.scaled(c, beta)
    return add(builder, attributes, product, scaled)


def _turned(builder: OnnxBuilder, x: Value) -> Value:
    return Static(x.array.T) if isinstance(x, Static) else transposed(builder, x, (1, 0))
