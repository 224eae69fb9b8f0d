"""Lowering of powers, and of what is an exponential or a logarithm of something affine."""

from __future__ import annotations

import math
from typing import Any

import torch

from autodual.frontend.compositions import affine, difference, power, product, scaled
from autodual.frontend.constants import apply
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.operands import Fixed
from autodual.frontend.torch.registry import lowers
from autodual.ir import Node
from autodual.ir.ops import Clamp, Exp, Log

aten = torch.ops.aten


@lowers(aten.pow.Tensor_Scalar, any_batch_axis=True)
def to_a_number(builder: Builder, x: Any, exponent: float) -> Node:
    x = builder.node(x)
    return affine(builder, x, 0.0, 1.0) if exponent == 0 else power(builder, x, exponent)


@lowers(aten.pow.Scalar, any_batch_axis=True)
def of_a_number(builder: Builder, base: float, x: Any) -> Node:
    """baseˣ = exp(x · log base)."""
    if not base > 0:
        raise Unsupported(f"a power of the base {base} exists only for whole exponents; use a positive base")
    return _exponential(builder, affine(builder, builder.node(x), math.log(base)))


@lowers(aten.pow.Tensor_Tensor, any_batch_axis=True)
def to_a_branch(builder: Builder, x: Any, exponent: Any) -> Node:
    """xʸ = exp(y · log x), for positive x alone."""
    if isinstance(x, Fixed):
        exponent = builder.node(exponent)
        logarithm = apply(torch.log, builder.beside(x, exponent))
        return _exponential(builder, scaled(builder, builder.expand(exponent, builder.shape), logarithm))
    if isinstance(exponent, Fixed):
        x = builder.expand(builder.node(x), builder.shape)
        return _exponential(builder, scaled(builder, builder.emit(Log(), x), builder.beside(exponent, x)))
    x, exponent = builder.aligned(x, exponent)
    return _exponential(builder, product(builder, exponent, builder.emit(Log(), x)))


@lowers(aten.exp2.default, any_batch_axis=True)
def power_of_two(builder: Builder, x: Any) -> Node:
    return of_a_number(builder, 2, x)


@lowers(aten.expm1.default, any_batch_axis=True)
def exponential_less_one(builder: Builder, x: Any) -> Node:
    return affine(builder, _exponential(builder, builder.node(x)), offset=-1.0)


@lowers(aten.log1p.default, any_batch_axis=True)
def logarithm_of_one_more(builder: Builder, x: Any) -> Node:
    return builder.emit(Log(), affine(builder, builder.node(x), offset=1.0))


@lowers(aten.log2.default, any_batch_axis=True)
def logarithm_to_two(builder: Builder, x: Any) -> Node:
    return affine(builder, builder.emit(Log(), builder.node(x)), 1 / math.log(2))


@lowers(aten.log10.default, any_batch_axis=True)
def logarithm_to_ten(builder: Builder, x: Any) -> Node:
    return affine(builder, builder.emit(Log(), builder.node(x)), 1 / math.log(10))


@lowers(aten.logit.default, any_batch_axis=True)
def logit(builder: Builder, x: Any, epsilon: float | None) -> Node:
    """log(x/(1 - x)), with x kept ε away from 0 and 1."""
    x = builder.node(x)
    if epsilon is not None and epsilon >= 0:
        x = builder.emit(Clamp(float(epsilon), 1.0 - epsilon), x)
    rest = affine(builder, x, -1.0, 1.0)
    return difference(builder, builder.emit(Log(), x), builder.emit(Log(), rest))


def _exponential(builder: Builder, x: Node) -> Node:
    return builder.emit(Exp(), x, shape=x.shape)
