"""Lowering of operations that jump: rounding to whole numbers, remainders, and the step function."""

from __future__ import annotations

from typing import Any

import torch

from autodual.frontend import compositions
from autodual.frontend.compositions import scaled, total
from autodual.frontend.constants import apply
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.operands import Fixed
from autodual.frontend.torch.registry import lowers
from autodual.frontend.torch.rules.arithmetic import divide
from autodual.ir import Node
from autodual.ir.ops import Floor, Remainder, Step

aten = torch.ops.aten


@lowers(aten.trunc.default, aten.fix.default, any_batch_axis=True)
def truncated(builder: Builder, x: Any) -> Node:
    return compositions.truncated(builder, builder.node(x))


@lowers(aten.div.Tensor_mode, aten.div.Scalar_mode, any_batch_axis=True)
def divide_and_round(builder: Builder, x: Any, y: Any, rounding: str | None) -> Node:
    exact = divide(builder, x, y)
    if rounding == "floor":
        return builder.emit(Floor(), exact)
    return exact if rounding is None else truncated(builder, exact)


@lowers(aten.floor_divide.default, aten.floor_divide.Scalar, any_batch_axis=True)
def floor_divide(builder: Builder, x: Any, y: Any) -> Node:
    return divide_and_round(builder, x, y, "floor")


@lowers(aten.remainder.Scalar, aten.remainder.Tensor, any_batch_axis=True)
def remainder(builder: Builder, x: Any, y: Any) -> Node:
    """x - y · ⌊x/y⌋."""
    return _remainder(builder, x, y, truncated=False)


@lowers(aten.fmod.Scalar, aten.fmod.Tensor, any_batch_axis=True)
def remainder_towards_zero(builder: Builder, x: Any, y: Any) -> Node:
    """x - y · (x/y rounded towards zero)."""
    return _remainder(builder, x, y, truncated=True)


def _remainder(builder: Builder, x: Any, y: Any, *, truncated: bool) -> Node:
    if isinstance(y, Node):
        raise Unsupported("its divisor depends on the input")
    node = builder.expand(builder.node(x), builder.shape)
    return builder.emit(Remainder(builder.factor(y, node), truncated), node)


@lowers(aten.frac.default, any_batch_axis=True)
def fraction(builder: Builder, x: Any) -> Node:
    """x less x rounded towards zero."""
    return _remainder(builder, x, 1.0, truncated=True)


@lowers(aten.heaviside.default, any_batch_axis=True)
def heaviside(builder: Builder, x: Any, at_zero: Any) -> Node:
    """0 below zero, 1 above it, a constant at zero: the mean of two step functions, weighted by that constant."""
    x = builder.node(x)
    if not isinstance(at_zero, Fixed):
        raise Unsupported("its value at zero depends on the input")
    weight = builder.beside(at_zero, x)
    inclusive = scaled(builder, builder.emit(Step(True), x), weight)
    exclusive = scaled(builder, builder.emit(Step(), x), apply(torch.rsub, weight, 1))
    return total(builder, inclusive, exclusive)
