"""Lowering of operations that act on each scalar: identities, sums of branches, and what is affine in one branch."""

from __future__ import annotations

from typing import Any

import torch

from autodual.frontend.builder import Builder, Unsupported
from autodual.frontend.registry import lowers
from autodual.frontend.values import Fixed, apply, number
from autodual.ir import Expression, Node
from autodual.ir.ops import Add, ElementwiseAffine, Relu, Subtract

aten = torch.ops.aten


@lowers(aten.relu.default)
def relu(builder: Builder, x: Any) -> Node:
    return builder.emit(Relu(), builder.node(x))


@lowers(
    aten.clone.default,
    aten.contiguous.default,
    aten.detach.default,
    aten.alias.default,
    aten.lift_fresh_copy.default,
    aten.positive.default,
    aten._to_copy.default,
    aten.to.dtype,
    aten.to.device,
    aten.to.other,
    aten.type_as.default,
)
def identity(builder: Builder, x: Any, *_: Any) -> Node:
    """What only copies, moves, widens the floating type, or matters to gradients alone, which bounds do not ask for."""
    return builder.node(x)


@lowers(
    aten.dropout.default, aten.feature_dropout.default, aten.alpha_dropout.default, aten.feature_alpha_dropout.default
)
def dropout(builder: Builder, x: Any, probability: float, train: bool) -> Node:
    if train and probability:
        raise Unsupported("dropout is active: pass training=self.training, so that evaluation turns it off")
    return builder.node(x)


def affine(builder: Builder, x: Node, factor: Expression | None, offset: Expression | None) -> Node:
    """x · factor + offset, where the constants may enlarge x."""
    return builder.emit(ElementwiseAffine(factor, offset), builder.expand(x, builder.shape))


@lowers(aten.neg.default)
def negative(builder: Builder, x: Any) -> Node:
    return affine(builder, builder.node(x), number(-1), None)


@lowers(aten.add.Tensor, aten.add.Scalar)
def add(builder: Builder, x: Any, y: Any, alpha: Any) -> Node:
    """x + alpha · y."""
    if not _is_branch(x):
        return _shifted(builder, _scaled(builder, builder.node(y), alpha), x, 1)
    if not _is_branch(y):
        return _shifted(builder, builder.node(x), y, alpha)
    x, y = _aligned(builder, x, _scaled(builder, builder.node(y), alpha))
    return builder.emit(Add(), x, y)


@lowers(aten.sub.Tensor, aten.sub.Scalar)
def subtract(builder: Builder, x: Any, y: Any, alpha: Any) -> Node:
    """x - alpha · y."""
    if not _is_branch(x):
        return _shifted(builder, _scaled(builder, builder.node(y), -alpha), x, 1)
    if not _is_branch(y):
        return _shifted(builder, builder.node(x), y, -alpha)
    x, y = _aligned(builder, x, _scaled(builder, builder.node(y), alpha))
    return builder.emit(Subtract(), x, y)


@lowers(aten.rsub.Tensor, aten.rsub.Scalar)
def reversed_subtract(builder: Builder, x: Any, y: Any, alpha: Any) -> Node:
    """y - alpha · x."""
    return subtract(builder, y, x, alpha)


@lowers(aten.mul.Tensor, aten.mul.Scalar)
def multiply(builder: Builder, x: Any, y: Any) -> Node:
    if not _is_branch(x):
        x, y = y, x
    if _is_branch(y):
        raise Unsupported("both factors depend on the input")
    node = builder.node(x)
    return affine(builder, node, builder.factor(y, node), None)


@lowers(aten.div.Tensor, aten.div.Scalar, aten.true_divide.Tensor, aten.true_divide.Scalar)
def divide(builder: Builder, x: Any, y: Any) -> Node:
    if _is_branch(y):
        raise Unsupported("the divisor depends on the input")
    node = builder.node(x)
    return affine(builder, node, apply(torch.reciprocal, builder.factor(y, node)), None)


def _is_branch(value: Any) -> bool:
    """Whether a value is a node; a constant that merely carries a batch axis still folds into an affine map."""
    return isinstance(value, Node)


def _scaled(builder: Builder, x: Node, alpha: float) -> Node:
    return x if alpha == 1 else builder.emit(ElementwiseAffine(number(alpha)), x, shape=x.shape)


def _shifted(builder: Builder, x: Node, constant: Any, alpha: float) -> Node:
    """x + alpha · constant."""
    if not isinstance(constant, Fixed):
        return affine(builder, x, None, builder.factor(constant * alpha, x))
    offset = builder.beside(constant, x)
    return affine(builder, x, None, offset if alpha == 1 else apply(torch.mul, offset, alpha))


def _aligned(builder: Builder, x: Node, y: Node) -> tuple[Node, Node]:
    """Both branches in the result's shape."""
    if len(x.shape) != len(y.shape):
        builder.mixing("broadcasts the batch axis of one branch along another axis of the other")
    return builder.expand(x, builder.shape), builder.expand(y, builder.shape)
