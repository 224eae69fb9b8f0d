"""Lowering of variances, norms, products along an axis and running sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from autodual.frontend import compositions
from autodual.frontend.compositions import (
    affine,
    concatenated,
    power,
    running_products,
    without_axes,
)
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.frontend.torch.rules.reductions import reduced_axes
from autodual.ir import Node
from autodual.ir.ops import CumulativeSum

aten = torch.ops.aten


@lowers(aten.var.correction, any_batch_axis=True)
def variance(builder: Builder, x: Any, dims: Any, correction: float | None, keepdim: bool) -> Node:
    """The mean square of x less its mean, times n/(n - correction)."""
    return _moments(builder, builder.node(x), dims, correction, keepdim)[0]


@lowers(aten.var.dim, any_batch_axis=True)
def unbiased_variance(builder: Builder, x: Any, dims: Any, unbiased: bool, keepdim: bool) -> Node:
    return variance(builder, x, dims, int(unbiased), keepdim)


@lowers(aten.std.correction, any_batch_axis=True)
def deviation(builder: Builder, x: Any, dims: Any, correction: float | None, keepdim: bool) -> Node:
    return power(builder, variance(builder, x, dims, correction, keepdim), 0.5)


@lowers(aten.std.dim, any_batch_axis=True)
def unbiased_deviation(builder: Builder, x: Any, dims: Any, unbiased: bool, keepdim: bool) -> Node:
    return deviation(builder, x, dims, int(unbiased), keepdim)


@lowers(aten.var_mean.correction, any_batch_axis=True)
def variance_and_mean(
    builder: Builder, x: Any, dims: Any, correction: float | None, keepdim: bool
) -> tuple[Node, Node]:
    return _moments(builder, builder.node(x), dims, correction, keepdim)


@lowers(aten.var_mean.dim, any_batch_axis=True)
def unbiased_variance_and_mean(builder: Builder, x: Any, dims: Any, unbiased: bool, keepdim: bool) -> tuple[Node, Node]:
    return variance_and_mean(builder, x, dims, int(unbiased), keepdim)


@lowers(aten.std_mean.correction, any_batch_axis=True)
def deviation_and_mean(
    builder: Builder, x: Any, dims: Any, correction: float | None, keepdim: bool
) -> tuple[Node, Node]:
    spread, mean = variance_and_mean(builder, x, dims, correction, keepdim)
    return power(builder, spread, 0.5), mean


@lowers(aten.std_mean.dim, any_batch_axis=True)
def unbiased_deviation_and_mean(
    builder: Builder, x: Any, dims: Any, unbiased: bool, keepdim: bool
) -> tuple[Node, Node]:
    return deviation_and_mean(builder, x, dims, int(unbiased), keepdim)


def _moments(builder: Builder, x: Node, dims: Any, correction: float | None, keepdim: bool) -> tuple[Node, Node]:
    """The variance and the mean over some axes."""
    axes = reduced_axes(builder, x, dims)
    count = math.prod(x.shape[axis] for axis in axes)
    rest = count - (1 if correction is None else correction)
    if rest <= 0:
        raise Unsupported("it divides by zero: the variance of so few values needs correction=0")
    mean, _, spread = compositions.moments(builder, x, axes)
    spread = spread if rest == count else affine(builder, spread, count / rest)
    return _reduced(builder, spread, axes, keepdim), _reduced(builder, mean, axes, keepdim)


@lowers(aten.linalg_vector_norm.default, any_batch_axis=True)
def vector_norm(builder: Builder, x: Any, order: float, dims: Any, keepdim: bool, _: Any) -> Node:
    x = builder.node(x)
    axes = reduced_axes(builder, x, dims)
    if order == 0:
        raise Unsupported("the number of entries that are not zero has no bounds; use a norm of order 1 or more")
    return _reduced(builder, compositions.norm(builder, x, axes, order), axes, keepdim)


@lowers(aten.norm.ScalarOpt_dim, any_batch_axis=True)
def norm(builder: Builder, x: Any, order: float | None, dims: Any, keepdim: bool) -> Node:
    return vector_norm(builder, x, 2 if order is None else order, dims, keepdim, None)


@lowers(aten.cumsum.default, any_batch_axis=True)
def running_sum(builder: Builder, x: Any, dim: int, _: Any) -> Node:
    x = builder.node(x)
    return builder.emit(CumulativeSum(builder.axis(dim, x)), x)


@lowers(aten.prod.dim_int, any_batch_axis=True)
def product_over(builder: Builder, x: Any, dim: int, keepdim: bool, _: Any) -> Node:
    x = builder.node(x)
    axis = builder.axis(dim, x)
    return _reduced(builder, running_products(builder, x, axis)[-1], [axis], keepdim)


@lowers(aten.cumprod.default, any_batch_axis=True)
def running_product(builder: Builder, x: Any, dim: int, _: Any) -> Node:
    x = builder.node(x)
    axis = builder.axis(dim, x)
    return concatenated(builder, running_products(builder, x, axis), axis)


def _reduced(builder: Builder, x: Node, axes: Sequence[int], keepdim: bool) -> Node:
    """Axes of extent 1 removed unless they are kept."""
    return x if keepdim else without_axes(builder, x, axes)
