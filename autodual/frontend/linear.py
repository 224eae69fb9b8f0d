"""Lowering of products with a constant matrix."""

from __future__ import annotations

from typing import Any

import torch

from autodual.frontend.builder import Builder, Unsupported
from autodual.frontend.elementwise import add, multiply
from autodual.frontend.registry import lowers
from autodual.frontend.shapes import permuted, reshape_to
from autodual.frontend.values import Fixed, apply
from autodual.ir import Expression, Node
from autodual.ir.ops import Linear

aten = torch.ops.aten


@lowers(aten.linear.default)
def linear(builder: Builder, x: Any, weight: Any, bias: Any) -> Node:
    """x @ weightᵀ + bias; a weight `[in]` without a second axis yields a scalar."""
    matrix = builder.constant(weight, "weight")
    offset = builder.constant(bias, "bias")
    x = _with_features(builder, x)
    assert matrix is not None
    if len(weight.shape) == 2:
        return builder.emit(Linear(matrix, offset), x)
    return _dot(builder, x, matrix, None if offset is None else apply(torch.reshape, offset, (1,)))


@lowers(aten.mm.default, aten.matmul.default, aten.mv.default)
def matmul(builder: Builder, x: Any, y: Any) -> Node:
    """A product with a constant matrix on either side of one sample's last axes."""
    if isinstance(x, Node) and isinstance(y, Node):
        if min(len(x.shape), len(y.shape)) < 2:
            builder.mixing("multiplies along the batch axis")
        raise Unsupported("both factors depend on the input")
    if isinstance(x, Fixed):
        return _from_left(builder, x, builder.node(y))
    x = _with_features(builder, x)
    weight = builder.constant(y, "right factor")
    if len(y.shape) == 1:
        return _dot(builder, x, weight)
    if len(y.shape) != 2:
        raise Unsupported("the constant factor is not a matrix")
    return builder.emit(Linear(apply(torch.t, weight)), x)


def _from_left(builder: Builder, weight: Fixed, x: Node) -> Node:
    """weight @ x, acting on the last axis but one of a sample `[..., in, columns]`."""
    if len(x.shape) < 2:
        builder.mixing("multiplies along the batch axis")
    matrix = builder.constant(weight, "left factor")
    if len(weight.shape) != 2:
        raise Unsupported("the constant factor is not a matrix")
    assert matrix is not None
    rank = len(x.shape)
    swap = [*range(rank - 2), rank - 1, rank - 2]
    turned = permuted(builder, x, swap)
    product = builder.emit(Linear(matrix), turned, shape=(*turned.shape[:-1], weight.shape[0]))
    return permuted(builder, product, swap)


@lowers(aten.addmm.default)
def addmm(builder: Builder, bias: Any, x: Any, y: Any, beta: Any, alpha: Any) -> Node:
    """beta · bias + alpha · x @ y."""
    if isinstance(bias, Fixed) and beta == alpha == 1 and len(bias.shape) == 1 and not isinstance(y, Node):
        weight, offset = builder.constant(y, "right factor"), builder.constant(bias, "bias")
        if bias.shape[0] == y.shape[1]:
            return builder.emit(Linear(apply(torch.t, weight), offset), _with_features(builder, x))
    product = matmul(builder, x, y)
    scaled = product if alpha == 1 else multiply(builder, product, alpha)
    return add(builder, scaled, bias, beta)


def _with_features(builder: Builder, x: Any) -> Node:
    """The left factor, whose last axis is summed over."""
    x = builder.node(x)
    if not x.shape:
        builder.mixing("sums over the batch axis")
    return x


def _dot(builder: Builder, x: Node, vector: Expression | None, bias: Expression | None = None) -> Node:
    """The product of the last axis with a vector."""
    row = apply(torch.unsqueeze, vector, 0)
    product = builder.emit(Linear(row, bias), x, shape=(*x.shape[:-1], 1))
    return reshape_to(builder, product, builder.shape)
