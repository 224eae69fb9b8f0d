"""Lowering of trigonometric and hyperbolic functions and their inverses."""

from __future__ import annotations

from typing import Any

import torch

from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.ir import Node, Op
from autodual.ir.ops import Arccos, Arccosh, Arcsin, Arcsinh, Arctan, Arctanh, Cos, Cosh, Sin, Sinh, Tan

aten = torch.ops.aten

_FUNCTIONS: dict[Any, Op] = {
    aten.sin.default: Sin(),
    aten.cos.default: Cos(),
    aten.tan.default: Tan(),
    aten.asin.default: Arcsin(),
    aten.acos.default: Arccos(),
    aten.atan.default: Arctan(),
    aten.sinh.default: Sinh(),
    aten.cosh.default: Cosh(),
    aten.asinh.default: Arcsinh(),
    aten.acosh.default: Arccosh(),
    aten.atanh.default: Arctanh(),
}


@lowers(*_FUNCTIONS, any_batch_axis=True)
def trigonometric(builder: Builder, x: Any) -> Node:
    return builder.emit(_FUNCTIONS[builder.target], builder.node(x))
