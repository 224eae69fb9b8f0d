"""Lowering of assignments to parts of a tensor, which torch.export makes operations that return a new one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from autodual.frontend.compositions import taken_from_both
from autodual.frontend.constants import apply
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.operands import Fixed
from autodual.frontend.torch.registry import lowers
from autodual.frontend.torch.rules.slicing import whole_batch
from autodual.ir import Node
from autodual.ir.expressions import number
from autodual.ir.ops import ElementwiseAffine

aten = torch.ops.aten


def merged(builder: Builder, x: Node, values: Node, assign: Callable[..., Tensor], *arguments: Any) -> Node:
    """x after `assign(x, values, ...)`: each entry comes from x or from the values."""
    positions = apply(_assigned, assign, tuple(x.shape), tuple(values.shape), list(arguments))
    return taken_from_both(builder, x, values, positions, builder.shape)


def _assigned(
    assign: Callable[..., Tensor], shape: tuple[int, ...], other: tuple[int, ...], arguments: Sequence[Any]
) -> Tensor:
    """Positions in x and, after all of those, in the values."""
    before = torch.arange(prod(shape)).reshape(shape)
    return assign(before, prod(shape) + torch.arange(prod(other)).reshape(other), *arguments)


@lowers(aten.slice_scatter.default, any_batch_axis=True)
def slice_scatter(
    builder: Builder, x: Any, values: Any, dim: int, start: int | None, stop: int | None, step: int
) -> Node:
    """x[..., start:stop:step, ...] = values."""
    x = builder.node(x)
    if builder.is_batch_axis(dim, x):
        whole_batch(builder, x, start, stop, step)
        return builder.node(values)
    axis = builder.axis(dim, x)
    return merged(builder, x, builder.node(values), torch.slice_scatter, axis, start, stop, step)


@lowers(aten.select_scatter.default, any_batch_axis=True)
def select_scatter(builder: Builder, x: Any, values: Any, dim: int, index: int) -> Node:
    """x[..., index, ...] = values."""
    x = builder.node(x)
    return merged(builder, x, builder.node(values), torch.select_scatter, builder.axis(dim, x), index)


@lowers(aten.index_put.default, aten._unsafe_index_put.default)
def index_put(builder: Builder, x: Any, indices: Sequence[Any], values: Any, accumulate: bool) -> Node:
    """x[:, i, j, ...] = values with constant positions."""
    x = builder.node(x)
    if indices[0] is not None:
        builder.mixing("indexes the batch axis")
    if accumulate:
        raise Unsupported("it adds to entries; use a product with a constant matrix")
    if any(isinstance(index, Node) for index in indices) or _has_mask(builder):
        raise Unsupported("its positions depend on values; use torch.where")
    places = [None if index is None else builder.constant(index, "index") for index in indices[1:]]
    without_batch = isinstance(values, Fixed) and len(values.shape) <= len(builder.result.shape) - 1
    others = builder.literal(values) if without_batch else builder.node(values)
    return merged(builder, x, others, _put, places)


@lowers(aten.copy.default, any_batch_axis=True)
def copy(builder: Builder, x: Any, values: Any, _: Any) -> Node:
    """The values in x's shape; what x held is gone."""
    x = builder.node(x)
    if isinstance(values, Node):
        return builder.aligned(values, x)[0]
    return builder.emit(ElementwiseAffine(number(0), builder.factor(values, x)), x)


def _has_mask(builder: Builder) -> bool:
    """Whether some operand is a mask rather than positions."""
    return any(fake.dtype in (torch.bool, torch.uint8) for fake in builder.operands)


def _put(values: Tensor, others: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    """A copy of the values with some of them replaced."""
    result = values.clone()
    result[tuple(slice(None) if each is None else each.cpu() for each in indices)] = others
    return result
