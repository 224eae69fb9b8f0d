"""Lowering of matrix products: with a constant on either side, and of two branches."""

from __future__ import annotations

from typing import Any

import torch

from autodual.frontend.compositions import (
    broadcast,
    matrix_product,
    permuted,
    product,
    reshaped,
    scaled_and_shifted,
    stacked_product,
    summed,
)
from autodual.frontend.constants import apply
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.operands import Fixed
from autodual.frontend.torch.registry import lowers
from autodual.frontend.torch.rules.arithmetic import add, multiply
from autodual.ir import Expression, Node
from autodual.ir.ops import Contraction, Linear

aten = torch.ops.aten


@lowers(aten.linear.default, any_batch_axis=True)
def linear(builder: Builder, x: Any, weight: Any, bias: Any) -> Node:
    """x @ weightᵀ + bias; a weight `[in]` without a second axis yields a scalar."""
    matrix = builder.constant(weight, "weight")
    offset = builder.constant(bias, "bias")
    x = _with_features(builder, x)
    assert matrix is not None
    if len(weight.shape) == 2:
        return builder.emit(Linear(matrix, offset), x)
    return _dot(builder, x, matrix, None if offset is None else apply(torch.reshape, offset, (1,)))


@lowers(aten.mm.default, aten.matmul.default, aten.mv.default, aten.bmm.default, any_batch_axis=True)
def matmul(builder: Builder, x: Any, y: Any) -> Node:
    """A product of one sample's last two axes with a constant on either side, or of two branches."""
    if isinstance(x, Node) and isinstance(y, Node):
        for node in (x, y):
            _require_matrix(builder, node)
        if len(x.shape) != len(y.shape) and builder.layout is None:
            builder.mixing("broadcasts the batch axis of one branch along another axis of the other")
        return matrix_product(builder, x, y)
    if isinstance(x, Fixed):
        return _from_left(builder, x, builder.node(y))
    x = _with_features(builder, x)
    if len(y.shape) > 2:
        return _stacked(builder, x, y, from_left=False)
    weight = builder.constant(y, "right factor")
    if len(y.shape) == 1:
        return _dot(builder, x, weight)
    return builder.emit(Linear(apply(torch.t, weight)), x)


def _from_left(builder: Builder, weight: Fixed, x: Node) -> Node:
    """weight @ x, acting on the last axis but one of a sample `[..., in, columns]`."""
    _require_matrix(builder, x)
    if len(weight.shape) > 2:
        return _stacked(builder, x, weight, from_left=True)
    matrix = builder.constant(weight, "left factor")
    assert matrix is not None
    rows = weight.shape[0] if len(weight.shape) == 2 else 1
    if len(weight.shape) == 1:
        matrix = apply(torch.unsqueeze, matrix, 0)
    rank = len(x.shape)
    swap = [*range(rank - 2), rank - 1, rank - 2]
    turned = permuted(builder, x, swap)
    product = builder.emit(Linear(matrix), turned, shape=(*turned.shape[:-1], rows))
    return reshaped(builder, permuted(builder, product, swap), builder.shape)


def _stacked(builder: Builder, x: Node, constant: Fixed, *, from_left: bool) -> Node:
    """The product with a constant stack of matrices, one each entry of the axes before the last two."""
    _require_matrix(builder, x)
    outer = builder.shape[:-2]
    x = broadcast(builder, x, (*outer, *x.shape[-2:]))
    matrices, shape = builder.beside(constant, x), (*outer, *constant.shape[-2:])
    return stacked_product(builder, x, apply(torch.broadcast_to, matrices, shape), shape, from_left=from_left)


@lowers(aten.baddbmm.default, any_batch_axis=True)
def baddbmm(builder: Builder, start: Any, x: Any, y: Any, beta: Any, alpha: Any) -> Node:
    """beta · start + alpha · x @ y, sample by sample."""
    product = matmul(builder, x, y)
    return add(builder, product if alpha == 1 else multiply(builder, product, alpha), start, beta)


@lowers(aten.bilinear.default)
def bilinear(builder: Builder, x: Any, y: Any, weight: Any, bias: Any) -> Node:
    """xᵀ W y + b for each output."""
    kernel, offset = builder.constant(weight, "weight"), builder.constant(bias, "bias")
    assert kernel is not None
    x, y = _with_features(builder, x), _with_features(builder, y)
    letters = "abcdefgh"[: len(x.shape) - 1]
    outer, (outputs, _, inner) = x.shape[:-1], weight.shape
    op = Contraction(f"{letters}i,oij->{letters}oj", kernel)
    rows = builder.emit(op, x, shape=(*outer, outputs, inner))
    paired = product(builder, rows, reshaped(builder, y, (*outer, 1, inner)))
    result = summed(builder, paired, (len(outer) + 1,), keepdim=False)
    return scaled_and_shifted(builder, result, None, offset)


@lowers(aten.addmm.default, any_batch_axis=True)
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
    if builder.is_batch_axis(-1, x):
        builder.mixing("sums over the batch axis")
    return x


def _require_matrix(builder: Builder, x: Node) -> None:
    """Refuse a factor one of whose last two axes is the batch axis."""
    if builder.is_batch_axis(-1, x) or builder.is_batch_axis(-2, x):
        builder.mixing("multiplies along the batch axis")


def _dot(builder: Builder, x: Node, vector: Expression | None, bias: Expression | None = None) -> Node:
    """The product of the last axis with a vector."""
    row = apply(torch.unsqueeze, vector, 0)
    product = builder.emit(Linear(row, bias), x, shape=(*x.shape[:-1], 1))
    return reshaped(builder, product, builder.shape)
