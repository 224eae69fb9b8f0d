"""Lowering of maxima, comparisons and choices between branches."""

from __future__ import annotations

from typing import Any

import torch

from autodual.frontend import compositions
from autodual.frontend.compositions import scaled
from autodual.frontend.constants import apply
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.operands import Fixed, Unusable
from autodual.frontend.torch.registry import lowers
from autodual.frontend.torch.rules.reductions import reduced_axes
from autodual.ir import Expression, Node
from autodual.ir.expressions import number
from autodual.ir.ops import Add, ElementwiseAffine, Relu, Subtract

aten = torch.ops.aten


@lowers(aten.maximum.default, aten.max.other, aten.fmax.default, any_batch_axis=True)
def maximum(builder: Builder, x: Any, y: Any) -> Node:
    """Of two branches, or of one and a constant c: c + relu(x - c)."""
    if isinstance(x, Node) and isinstance(y, Node):
        return compositions.maximum(builder, *builder.aligned(x, y))
    x, constant = _with_constant(builder, x, y)
    above = ElementwiseAffine(None, apply(torch.neg, constant))
    return builder.emit(ElementwiseAffine(None, constant), builder.emit(Relu(), builder.emit(above, x)))


@lowers(aten.minimum.default, aten.min.other, aten.fmin.default, any_batch_axis=True)
def minimum(builder: Builder, x: Any, y: Any) -> Node:
    """Of two branches, or of one and a constant c: c - relu(c - x)."""
    if isinstance(x, Node) and isinstance(y, Node):
        return compositions.minimum(builder, *builder.aligned(x, y))
    x, constant = _with_constant(builder, x, y)
    below = builder.emit(Relu(), builder.emit(ElementwiseAffine(_minus_one(), constant), x))
    return builder.emit(ElementwiseAffine(_minus_one(), constant), below)


@lowers(aten.clamp.Tensor, aten.clip.Tensor, any_batch_axis=True)
def clamp(builder: Builder, x: Any, lower: Any, upper: Any) -> Node:
    """Between constants or branches; where the lower end exceeds the upper one, torch takes the upper one."""
    if lower is not None:
        x = maximum(builder, x, lower)
    return x if upper is None else minimum(builder, x, upper)


@lowers(aten.clamp_min.Tensor, any_batch_axis=True)
def clamp_below(builder: Builder, x: Any, lower: Any) -> Node:
    return maximum(builder, x, lower)


@lowers(aten.clamp_max.Tensor, any_batch_axis=True)
def clamp_above(builder: Builder, x: Any, upper: Any) -> Node:
    return minimum(builder, x, upper)


def _with_constant(builder: Builder, x: Any, y: Any) -> tuple[Node, Expression]:
    """The branch in the result's shape, and the constant beside it."""
    if not isinstance(x, Node):
        x, y = y, x
    x = builder.node(x)
    return builder.expand(x, builder.shape), builder.factor(y, x)


def _minus_one() -> Expression:
    return number(-1)


# --- comparisons: 1 where they hold, else 0 ---------------------------------------------------------------------------


@lowers(aten.gt.Tensor, aten.gt.Scalar, any_batch_axis=True)
def greater(builder: Builder, x: Any, y: Any) -> Node:
    return compositions.positive(builder, _gap(builder, x, y))


@lowers(aten.ge.Tensor, aten.ge.Scalar, any_batch_axis=True)
def greater_or_equal(builder: Builder, x: Any, y: Any) -> Node:
    return compositions.positive(builder, _gap(builder, x, y), inclusive=True)


@lowers(aten.lt.Tensor, aten.lt.Scalar, any_batch_axis=True)
def less(builder: Builder, x: Any, y: Any) -> Node:
    return greater(builder, y, x)


@lowers(aten.le.Tensor, aten.le.Scalar, any_batch_axis=True)
def less_or_equal(builder: Builder, x: Any, y: Any) -> Node:
    return greater_or_equal(builder, y, x)


def _gap(builder: Builder, x: Any, y: Any) -> Node:
    """x - y, either of which may be a constant or a number."""
    if isinstance(x, Node) and isinstance(y, Node):
        return builder.emit(Subtract(), *builder.aligned(x, y))
    if isinstance(x, Node) and not isinstance(y, Fixed) and y == 0:
        return builder.expand(x, builder.shape)
    if isinstance(x, Node):
        offset = apply(torch.neg, builder.factor(y, x))
        return builder.emit(ElementwiseAffine(None, offset), builder.expand(x, builder.shape))
    y = builder.node(y)
    return builder.emit(ElementwiseAffine(_minus_one(), builder.factor(x, y)), builder.expand(y, builder.shape))


@lowers(aten.logical_not.default, aten.bitwise_not.default, any_batch_axis=True)
def negation(builder: Builder, x: Any) -> Node:
    _require_truth_values(builder)
    return compositions.negation(builder, builder.node(x))


@lowers(aten.logical_and.default, aten.bitwise_and.Tensor, aten.__and__.Tensor, any_batch_axis=True)
def conjunction(builder: Builder, x: Any, y: Any) -> Node:
    _require_truth_values(builder)
    if isinstance(x, Node) and isinstance(y, Node):
        return compositions.conjunction(builder, *builder.aligned(x, y))
    x, constant = _with_constant(builder, x, y)
    return scaled(builder, x, apply(truth, constant))


@lowers(aten.logical_or.default, aten.bitwise_or.Tensor, aten.__or__.Tensor, any_batch_axis=True)
def disjunction(builder: Builder, x: Any, y: Any) -> Node:
    _require_truth_values(builder)
    if isinstance(x, Node) and isinstance(y, Node):
        return compositions.disjunction(builder, *builder.aligned(x, y))
    x, constant = _with_constant(builder, x, y)
    holds = apply(truth, constant)
    return builder.emit(ElementwiseAffine(apply(torch.rsub, holds, 1), holds), x)


def _require_truth_values(builder: Builder) -> None:
    """Refuse numbers: on them these operations work bit by bit, which has no bounds."""
    if any(fake.dtype is not torch.bool for fake in builder.operands):
        raise Unsupported("its operands are numbers rather than truth values; compare them with something")


def truth(value: torch.Tensor) -> torch.Tensor:
    """Truth values as 0 and 1 in double precision."""
    return value.to(torch.float64)


# --- choices ----------------------------------------------------------------------------------------------------------


@lowers(aten.where.self, aten.where.ScalarOther, aten.where.ScalarSelf, aten.where.Scalar, any_batch_axis=True)
def where(builder: Builder, condition: Any, x: Any, y: Any) -> Node:
    """x where the condition holds, else y; a constant condition is a mask."""
    if isinstance(condition, Node):
        return _where_branch(builder, condition, x, y)
    if not isinstance(x, Node) and not isinstance(y, Node):
        x = builder.node(x)
    if isinstance(x, Node) and isinstance(y, Node):
        x, y = builder.aligned(x, y)
        keep = apply(truth, builder.beside(condition, x))
        return builder.emit(Add(), scaled(builder, x, keep), scaled(builder, y, apply(torch.rsub, keep, 1)))
    if isinstance(x, Node):
        return masked(builder, x, builder.beside(condition, x), y)
    return masked(builder, y, apply(torch.logical_not, builder.beside(condition, y)), x)


def _where_branch(builder: Builder, condition: Node, x: Any, y: Any) -> Node:
    """y + condition · (x - y)."""
    if isinstance(x, Node) or isinstance(y, Node):
        x, y = (value if isinstance(value, Node) else _constant_beside(builder, condition, value) for value in (x, y))
        return compositions.where(builder, *builder.aligned(condition, x, y))
    first, second = builder.factor(x, condition), builder.factor(y, condition)
    choice = ElementwiseAffine(apply(torch.sub, first, second), second)
    return builder.emit(choice, builder.expand(condition, builder.shape))


def _constant_beside(builder: Builder, condition: Node, value: Any) -> Node:
    """A constant as a branch of the condition's shape."""
    condition = builder.expand(condition, builder.shape)
    return builder.emit(ElementwiseAffine(number(0), builder.factor(value, condition)), condition)


def masked(builder: Builder, x: Node, keep: Expression, fill: Any) -> Node:
    """x where the mask `keep` holds, else a constant, which may be minus infinity where a softmax follows."""
    value = builder.factor(fill, x)
    offset = apply(torch.where, keep, number(0), value)
    x = builder.expand(x, builder.shape)
    return builder.emit(ElementwiseAffine(apply(truth, keep), offset), x)


@lowers(aten.masked_fill.Scalar, aten.masked_fill.Tensor, any_batch_axis=True)
def masked_fill(builder: Builder, x: Any, mask: Any, value: Any) -> Node:
    return where(builder, mask, value, x)


@lowers(aten.tril.default)
def lower_triangle(builder: Builder, x: Any, diagonal: int) -> Node:
    return _triangle(builder, builder.node(x), torch.tril, diagonal)


@lowers(aten.triu.default)
def upper_triangle(builder: Builder, x: Any, diagonal: int) -> Node:
    return _triangle(builder, builder.node(x), torch.triu, diagonal)


def _triangle(builder: Builder, x: Node, cut: Any, diagonal: int) -> Node:
    if len(x.shape) < 2:
        builder.mixing("counts the batch axis as one of a matrix")
    return scaled(builder, x, apply(cut, apply(torch.ones, x.shape[-2:]), diagonal))


# --- extremes along axes ----------------------------------------------------------------------------------------------

_PLACES = "the places of extremes have no bounds; use their values"


@lowers(aten.amax.default, any_batch_axis=True)
def largest(builder: Builder, x: Any, dims: Any, keepdim: bool) -> Node:
    x = builder.node(x)
    return compositions.largest(builder, x, reduced_axes(builder, x, dims), keepdim=keepdim)


@lowers(aten.amin.default, any_batch_axis=True)
def smallest(builder: Builder, x: Any, dims: Any, keepdim: bool) -> Node:
    x = builder.node(x)
    return compositions.smallest(builder, x, reduced_axes(builder, x, dims), keepdim=keepdim)


@lowers(aten.max.dim, any_batch_axis=True)
def largest_and_place(builder: Builder, x: Any, dim: int, keepdim: bool) -> tuple[Node, Unusable]:
    return largest(builder, x, [dim], keepdim), Unusable(_PLACES)


@lowers(aten.min.dim, any_batch_axis=True)
def smallest_and_place(builder: Builder, x: Any, dim: int, keepdim: bool) -> tuple[Node, Unusable]:
    return smallest(builder, x, [dim], keepdim), Unusable(_PLACES)
