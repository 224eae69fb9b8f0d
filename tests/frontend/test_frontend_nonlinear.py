"""Nonlinear operations, compared with the model: activations, powers, branches, max-pooling and softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as functional
from support.agreement import Applied, assert_same
from torch import Tensor, nn

torch.set_num_threads(1)

VECTOR, SEQUENCE, IMAGE, VOLUME = (4,), (3, 4), (3, 6, 5), (2, 4, 5, 6)
#: For functions of positive numbers.
POSITIVE = (5,)

MODULES: dict[str, tuple[tuple[int, ...], Callable[[], nn.Module]]] = {
    "hardtanh": (VECTOR, lambda: nn.Hardtanh(-0.3, 0.8)),
    "relu6": (VECTOR, nn.ReLU6),
    "hardsigmoid": (VECTOR, nn.Hardsigmoid),
    "leaky relu": (VECTOR, lambda: nn.LeakyReLU(0.2, inplace=True)),
    "prelu": (IMAGE, nn.PReLU),
    "prelu of channels": (IMAGE, lambda: nn.PReLU(3)),
    "prelu of a vector": (VECTOR, lambda: nn.PReLU(4)),
    "rrelu": (VECTOR, nn.RReLU),
    "elu": (VECTOR, lambda: nn.ELU(0.7)),
    "selu": (VECTOR, nn.SELU),
    "celu": (VECTOR, lambda: nn.CELU(1.7)),
    "sigmoid": (VECTOR, nn.Sigmoid),
    "tanh": (VECTOR, nn.Tanh),
    "softplus": (VECTOR, lambda: nn.Softplus(3.0, 2.0)),
    "gelu": (VECTOR, nn.GELU),
    "gelu by tanh": (VECTOR, lambda: nn.GELU("tanh")),
    "silu": (VECTOR, nn.SiLU),
    "mish": (VECTOR, nn.Mish),
    "hardswish": (VECTOR, nn.Hardswish),
    "softsign": (VECTOR, nn.Softsign),
    "tanhshrink": (VECTOR, nn.Tanhshrink),
    "logsigmoid": (VECTOR, nn.LogSigmoid),
    "softshrink": (VECTOR, nn.Softshrink),
    "hardshrink": (VECTOR, nn.Hardshrink),
    "threshold": (VECTOR, lambda: nn.Threshold(0.3, -2.0)),
    "continuous threshold": (VECTOR, lambda: nn.Threshold(0.3, 0.3)),
    "glu": (IMAGE, lambda: nn.GLU(2)),
    "softmax": (SEQUENCE, lambda: nn.Softmax(1)),
    "softmax of channels": (IMAGE, nn.Softmax2d),
    "softmin": (SEQUENCE, lambda: nn.Softmin(-1)),
    "log softmax": (SEQUENCE, lambda: nn.LogSoftmax(-1)),
    "max pool 1d": (SEQUENCE, lambda: nn.MaxPool1d(2)),
    "overlapping max pool": (IMAGE, lambda: nn.MaxPool2d(3, 2, 1)),
    "dilated max pool": (IMAGE, lambda: nn.MaxPool2d((2, 3), (2, 1), (1, 0), (3, 2))),
    "max pool with ceil mode": (IMAGE, lambda: nn.MaxPool2d(2, 3, ceil_mode=True)),
    "max pool with padded ceil mode": (IMAGE, lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True)),
    "max pool 3d": (VOLUME, lambda: nn.MaxPool3d(2, 2, 1)),
    "max pool of everything": (IMAGE, lambda: nn.MaxPool2d((6, 5))),
    "adaptive max pool 1d": (SEQUENCE, lambda: nn.AdaptiveMaxPool1d(3)),
    "adaptive max pool 2d": (IMAGE, lambda: nn.AdaptiveMaxPool2d((4, 2))),
    "adaptive max pool 3d": (VOLUME, lambda: nn.AdaptiveMaxPool3d(2)),
    "local response norm": (IMAGE, lambda: nn.LocalResponseNorm(2, k=1.0)),
    "power-average pool": (IMAGE, lambda: nn.LPPool2d(2, 2)),
}


@pytest.mark.parametrize("name", MODULES)
def test_module(name: str) -> None:
    shape, make = MODULES[name]
    assert_same(make(), shape)


FUNCTIONS: dict[str, tuple[tuple[int, ...], Callable[..., Tensor]]] = {
    "abs": (VECTOR, lambda m, x: x.abs()),
    "sin and cos": (VECTOR, lambda m, x: x.sin() + x.cos()),
    "atan and erf": (VECTOR, lambda m, x: x.atan() * 2 + x.erf() + x.erfc()),
    "sign": (VECTOR, lambda m, x: x.sign() + x.sgn()),
    "rounded": (VECTOR, lambda m, x: (x * 3).floor() + (x * 3).ceil() + (x * 3).round()),
    "truncated": (VECTOR, lambda m, x: (x * 3).trunc() + (x * 3).frac()),
    "square": (VECTOR, lambda m, x: x.square() + x**2 + x.pow(3) + x**0 + x**1),
    "product of a branch and itself": (VECTOR, lambda m, x: x * x),
    "exp": (VECTOR, lambda m, x: x.exp() + x.exp2() + x.expm1()),
    "trigonometric": (VECTOR, lambda m, x: x.tan() + x.tanh().asin() + x.tanh().acos()),
    "inverse hyperbolic": (VECTOR, lambda m, x: x.asinh() + (x.abs() + 1).acosh() + x.tanh().atanh()),
    "remainders": (VECTOR, lambda m, x: x % 0.7 + x.fmod(-0.7) + x.remainder(m.vector) + x.fmod(m.vector) + x.frac()),
    "casts": (VECTOR, lambda m, x: x.half().to(x.dtype) + x.float().type_as(x) + x.bfloat16().float().to(x.dtype)),
    "hyperbolic": (VECTOR, lambda m, x: x.sinh() + x.cosh()),
    "power of a number": (VECTOR, lambda m, x: 3**x),
    "roots": (POSITIVE, lambda m, x: x.sqrt() + x.rsqrt() + x.reciprocal() + x**1.7 + x**-2),
    "logarithms": (POSITIVE, lambda m, x: x.log() + x.log2() + x.log10() + x.log1p()),
    "logit": (POSITIVE, lambda m, x: torch.logit(x * 0.1)),
    "logit within": (VECTOR, lambda m, x: torch.logit(x, 0.1)),
    "power of branches": (POSITIVE, lambda m, x: x**x + x ** m.vector[0].abs() + m.vector[0].abs() ** x),
    "clamp": (VECTOR, lambda m, x: x.clamp(0.1, 0.5) + x.clamp(min=0.2) + x.clip(max=0.3) + x.clamp_max(0.1)),
    "clamp in place": (VECTOR, lambda m, x: (x + 0).clamp_(-0.1, 0.1).abs_()),
    "clamp by a constant": (VECTOR, lambda m, x: x.clamp(-m.vector.abs(), m.vector.abs())),
    "clamp by branches": (VECTOR, lambda m, x: x.clamp(x.sin() - 1, x.cos())),
    "relu6": (VECTOR, lambda m, x: torch.ops.aten.relu6(x * 5)),
    "maximum": (VECTOR, lambda m, x: torch.maximum(x, 1 - x) + torch.max(x, m.vector) + torch.fmax(m.vector, x)),
    "minimum": (VECTOR, lambda m, x: torch.minimum(x, 1 - x) + torch.min(x, m.vector) + torch.fmin(m.vector, x)),
    "maximum with broadcasting": (SEQUENCE, lambda m, x: torch.maximum(x[:, :1], x[..., :1])),
    "largest": (IMAGE, lambda m, x: x.amax((1, -1)) + x.max(3)[0].max(1).values),
    "largest, keeping the axis": (IMAGE, lambda m, x: x.amax(2, keepdim=True) + x.min(2, keepdim=True)[0] + x),
    "smallest": (IMAGE, lambda m, x: x.amin((1, 2)) - x.aminmax(dim=2)[1].amax(1)),
    "product of branches": (VECTOR, lambda m, x: x * x.relu() * (x + 1)),
    "product with broadcasting": (IMAGE, lambda m, x: x * x.mean((2, 3), keepdim=True).sigmoid()),
    "outer product": (VECTOR, lambda m, x: (x[:, :, None] * x[:, None]).flatten(1)),
    "hand-written swish": (VECTOR, lambda m, x: x * torch.sigmoid(x)),
    "hand-written relu": (VECTOR, lambda m, x: x * (x > 0)),
    "quotient": (VECTOR, lambda m, x: x / (x.exp() + 1) + 1 / (1 + x**2) + m.vector / (2 + x.sin())),
    "reciprocal number": (POSITIVE, lambda m, x: 3 / x),
    "fused products": (VECTOR, lambda m, x: torch.addcmul(x, x, x.sin(), value=2) + torch.addcdiv(x, x, x.exp())),
    "lerp": (VECTOR, lambda m, x: torch.lerp(x, x.relu(), 0.3)),
    "rounded quotient": (VECTOR, lambda m, x: x // 0.3 + torch.div(x, 0.3, rounding_mode="trunc")),
    "remainder": (VECTOR, lambda m, x: x % 0.7),
    "comparison": (VECTOR, lambda m, x: (x > x.sin()).to(x.dtype) + (x >= 0.1).to(x.dtype) * 2),
    "comparison with a constant": (VECTOR, lambda m, x: (x < m.vector).to(x.dtype) - (m.vector <= x).to(x.dtype)),
    "logic": (VECTOR, lambda m, x: (((x > -1) & (x < 1)) | ~(x < 2)).to(x.dtype)),
    "logic with a constant": (VECTOR, lambda m, x: (((x > 0) & (m.vector > 0)) | (m.vector < -1)).to(x.dtype)),
    "where of a mask": (VECTOR, lambda m, x: torch.where(m.vector > 0, x, 0.5) + torch.where(m.vector > 0, 0.2, x)),
    "where of a mask and branches": (VECTOR, lambda m, x: torch.where(m.vector > 0, x, x.sin())),
    "where of a branch": (VECTOR, lambda m, x: torch.where(x > 0, x.sin(), -x)),
    "where of a branch and constants": (VECTOR, lambda m, x: torch.where(x > 0, 2.0, m.vector)),
    "where of a branch and one constant": (VECTOR, lambda m, x: torch.where(x > 0, x, m.vector)),
    "masked fill": (VECTOR, lambda m, x: x.masked_fill(m.vector > 0, -1.0)),
    "masked fill in place": (VECTOR, lambda m, x: (x + 1).masked_fill_(m.vector > 0, -1.0)),
    "triangles": ((4, 4), lambda m, x: x.tril() - x.triu(1)),
    "logsumexp": (IMAGE, lambda m, x: x.logsumexp(1) + x.logsumexp((1, 2), keepdim=True)[:, 0]),
    "functional softmax": (IMAGE, lambda m, x: functional.softmax(x, 2) * functional.log_softmax(x, 1)),
    "heaviside": (VECTOR, lambda m, x: torch.heaviside((x * 2).round(), m.vector[0])),
    "max pool with places": (IMAGE, lambda m, x: functional.max_pool2d(x, 2, return_indices=True)[0]),
    "max pool without channels": (SEQUENCE, lambda m, x: functional.max_pool2d(x, 2)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name: str) -> None:
    shape, function = FUNCTIONS[name]
    assert_same(Applied(function), shape, positive=shape == POSITIVE)


ONE_FUNCTION: dict[str, tuple[str, Any]] = {
    "silu": ("silu", lambda m, x: x * torch.sigmoid(x)),
    "silu, gate first": ("silu", lambda m, x: torch.sigmoid(x) * x),
    "relu": ("relu", lambda m, x: x * (x > 0)),
    "mish": ("mish", lambda m, x: x * torch.tanh(functional.softplus(x))),
    "hardswish": ("hard_swish", lambda m, x: x * functional.relu6(x + 3) / 6),
    "gelu": ("gelu", lambda m, x: 0.5 * x * (1 + torch.erf(x * 0.7))),
    "softsign": ("softsign", lambda m, x: x / (1 + x.abs())),
    "square": ("power", lambda m, x: x * x),
}
PRODUCTS = {
    "the gate of another branch": lambda m, x: x * torch.sigmoid(2 * x),
    "softplus of another width": lambda m, x: x * torch.tanh(functional.softplus(x, beta=2)),
    "clamp at another end": lambda m, x: x * (x + 3).clamp(0, 5),
    "softsign of another branch": lambda m, x: x / (1 + (2 * x).abs()),
}


@pytest.mark.parametrize("name", ONE_FUNCTION)
def test_a_product_that_is_an_activation_becomes_one_op(name: str) -> None:
    """As a product of two branches its bounds would be looser."""
    kind, function = ONE_FUNCTION[name]
    kinds = [node.op.kind for node in assert_same(Applied(function), VECTOR).graph]
    assert kind in kinds and "multiply" not in kinds


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_that_only_resembles_an_activation_stays_a_product(name: str) -> None:
    assert "multiply" in [node.op.kind for node in assert_same(Applied(PRODUCTS[name]), VECTOR).graph]
