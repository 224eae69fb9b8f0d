"""Lowering of operations that act on each scalar: identities, sums of branches, and what is affine in one branch."""

from __future__ import annotations

from typing import Any

import torch

from autodual.frontend.compositions import fused_product, fused_quotient, power, quotient
from autodual.frontend.constants import apply
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.operands import Fixed, Unusable
from autodual.frontend.torch.registry import lowers
from autodual.ir import Expression, Node
from autodual.ir.expressions import number
from autodual.ir.ops import Add, Cast, ElementwiseAffine, Subtract

aten = torch.ops.aten

_FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@lowers(
    aten.clone.default,
    aten.contiguous.default,
    aten.detach.default,
    aten.alias.default,
    aten.lift_fresh_copy.default,
    aten.positive.default,
    any_batch_axis=True,
)
def identity(builder: Builder, x: Any, *_: Any) -> Node:
    """Operations that only copy or move a tensor, or that matter to gradients alone."""
    return builder.node(x)


@lowers(
    aten._to_copy.default,
    aten.to.dtype,
    aten.to.dtype_layout,
    aten.to.device,
    aten.to.other,
    aten.type_as.default,
    any_batch_axis=True,
    rounds=True,
)
def converted(builder: Builder, x: Any, *_: Any) -> Node:
    """To a wider floating type nothing happens; to a narrower one each number is rounded to the nearest."""
    before, after = builder.operands[0].dtype, builder.result.dtype
    if after is torch.bool and before is not torch.bool:
        raise Unsupported("it makes truth values of numbers; compare them with something")
    if before is after or before is torch.bool or not (before.is_floating_point or after.is_floating_point):
        return builder.node(x)
    if after not in _FLOATING:
        raise Unsupported(f"it rounds from {before} to {after}")
    # Whole numbers are counts, which the wider types hold.
    if after.itemsize >= 4 and (not before.is_floating_point or after.itemsize >= before.itemsize):
        return builder.node(x)
    return builder.emit(Cast(after), builder.node(x))


@lowers(
    aten.dropout.default,
    aten.feature_dropout.default,
    aten.alpha_dropout.default,
    aten.feature_alpha_dropout.default,
    any_batch_axis=True,
)
def dropout(builder: Builder, x: Any, probability: float, train: bool) -> Node:
    if train and probability:
        raise Unsupported(
            "dropout is active: call model.eval() before the model is exported, or pass training=self.training in it"
        )
    return builder.node(x)


@lowers(aten.native_dropout.default)
def native_dropout(builder: Builder, x: Any, probability: float, train: bool | None) -> tuple[Node, Unusable]:
    """The form after decomposition, with a second result: the mask of what was dropped."""
    return dropout(builder, x, probability, train is not False), Unusable("what a dropout drops is random")


def affine(builder: Builder, x: Node, factor: Expression | None, offset: Expression | None) -> Node:
    """x · factor + offset; x is broadcast to the result's shape."""
    return builder.emit(ElementwiseAffine(factor, offset), builder.expand(x, builder.shape))


@lowers(aten.neg.default, any_batch_axis=True)
def negative(builder: Builder, x: Any) -> Node:
    return affine(builder, builder.node(x), number(-1), None)


@lowers(aten.add.Tensor, aten.add.Scalar, any_batch_axis=True)
def add(builder: Builder, x: Any, y: Any, alpha: Any) -> Node:
    """x + alpha · y."""
    if builder.result.dtype is torch.bool:
        raise Unsupported("the sum of truth values is their disjunction; write x | y")
    if not _is_branch(x):
        return _shifted(builder, _scaled(builder, builder.node(y), alpha), x, 1)
    if not _is_branch(y):
        return _shifted(builder, builder.node(x), y, alpha)
    x, y = builder.aligned(x, _scaled(builder, builder.node(y), alpha))
    return builder.emit(Add(), x, y)


@lowers(aten.sub.Tensor, aten.sub.Scalar, any_batch_axis=True)
def subtract(builder: Builder, x: Any, y: Any, alpha: Any) -> Node:
    """x - alpha · y."""
    if not _is_branch(x):
        return _shifted(builder, _scaled(builder, builder.node(y), -alpha), x, 1)
    if not _is_branch(y):
        return _shifted(builder, builder.node(x), y, -alpha)
    x, y = builder.aligned(x, _scaled(builder, builder.node(y), alpha))
    return builder.emit(Subtract(), x, y)


@lowers(aten.rsub.Tensor, aten.rsub.Scalar, any_batch_axis=True)
def reversed_subtract(builder: Builder, x: Any, y: Any, alpha: Any) -> Node:
    """y - alpha · x."""
    return subtract(builder, y, x, alpha)


@lowers(aten.mul.Tensor, aten.mul.Scalar, any_batch_axis=True)
def multiply(builder: Builder, x: Any, y: Any) -> Node:
    if not _is_branch(x):
        x, y = y, x
    if _is_branch(y):
        return fused_product(builder, *builder.aligned(x, y))
    node = builder.node(x)
    return affine(builder, node, builder.factor(y, node), None)


@lowers(aten.div.Tensor, aten.div.Scalar, aten.true_divide.Tensor, aten.true_divide.Scalar, any_batch_axis=True)
def divide(builder: Builder, x: Any, y: Any) -> Node:
    if _is_branch(y):
        return _quotient(builder, x, y)
    node = builder.node(x)
    return affine(builder, node, apply(torch.reciprocal, builder.factor(y, node)), None)


def _quotient(builder: Builder, x: Any, y: Node) -> Node:
    """x/y, where x may be a number or a constant."""
    if isinstance(x, Node):
        x, y = builder.aligned(x, y)
        return fused_quotient(builder, x, y) or quotient(builder, x, y)
    inverse = power(builder, y, -1)
    return affine(builder, inverse, builder.factor(x, y), None)


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
