"""Curves of the smooth activations. Inflections and extremes to the last digit of double precision."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from autodual.dual.curves.curve import Curve
from autodual.dual.curves.rule import CurveRule
from autodual.dual.execution import LIBRARY
from autodual.dual.registry import dual_rule
from autodual.ir import ops

_ROOT_2_OVER_PI = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _sigmoid_slope(z: Tensor) -> Tensor:
    return z.sigmoid() * (-z).sigmoid()


def _tanh_slope(z: Tensor) -> Tensor:
    # 1 - tanh² without its cancellation, which would leave nothing of small slopes.
    return 4 * _sigmoid_slope(2 * z)


def _density(z: Tensor) -> Tensor:
    """The density of the standard normal distribution."""
    return torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _distribution(z: Tensor) -> Tensor:
    """Φ(z), without the cancellation of 1 + erf, which would leave nothing of small values."""
    return torch.erfc(-z / math.sqrt(2)) / 2


def _gelu_slope(z: Tensor) -> Tensor:
    return _distribution(z) + z * _density(z)


def _gelu_tanh(z: Tensor) -> Tensor:
    return z * (2 * _ROOT_2_OVER_PI * (z + _CUBIC * z**3)).sigmoid()


def _gelu_tanh_slope(z: Tensor) -> Tensor:
    inner = _ROOT_2_OVER_PI * (z + _CUBIC * z**3)
    gate = (2 * inner).sigmoid()
    # Far out the polynomial overflows where the slope of tanh has long vanished.
    steep = 2 * _sigmoid_slope(2 * inner) * z * _ROOT_2_OVER_PI * (1 + 3 * _CUBIC * z * z)
    return gate + torch.where(inner.abs() < 50, steep, torch.zeros_like(steep))


def _silu_slope(z: Tensor) -> Tensor:
    return z.sigmoid() + z * _sigmoid_slope(z)


def _mish_slope(z: Tensor) -> Tensor:
    inner = _softplus(z)
    return inner.tanh() + z * _tanh_slope(inner) * z.sigmoid()


def _arcsinh_slope(z: Tensor) -> Tensor:
    # hypot squares nothing that could overflow.
    return torch.hypot(z, torch.ones_like(z)).reciprocal()


def _softplus(z: Tensor) -> Tensor:
    return torch.logaddexp(z, torch.zeros_like(z))


_CURVES = {
    ops.Sigmoid: Curve(torch.sigmoid, _sigmoid_slope, inflections=(0.0,)),
    ops.Tanh: Curve(torch.tanh, _tanh_slope, inflections=(0.0,)),
    ops.Arctan: Curve(torch.atan, lambda z: 1 / (1 + z * z), inflections=(0.0,)),
    ops.Erf: Curve(torch.erf, lambda z: 2 / math.sqrt(math.pi) * torch.exp(-z * z), inflections=(0.0,)),
    ops.Softsign: Curve(lambda z: z / (1 + z.abs()), lambda z: (1 + z.abs()) ** -2, inflections=(0.0,)),
    ops.Silu: Curve(
        torch.nn.functional.silu,
        _silu_slope,
        inflections=(-2.3993572805154675, 2.3993572805154675),
        convex=False,
        turning=(-1.2784645427610737,),
    ),
    ops.Mish: Curve(
        torch.nn.functional.mish,
        _mish_slope,
        inflections=(-2.256376396360793, 1.4905711794854284),
        convex=False,
        turning=(-1.1924312145154952,),
    ),
    ops.Exp: Curve(torch.exp, torch.exp),
    ops.Sinh: Curve(torch.sinh, torch.cosh, inflections=(0.0,), convex=False),
    ops.Cosh: Curve(torch.cosh, torch.sinh, turning=(0.0,)),
    ops.Arcsinh: Curve(torch.asinh, _arcsinh_slope, inflections=(0.0,)),
}

_GELU = Curve(
    lambda z: z * _distribution(z),
    _gelu_slope,
    inflections=(-math.sqrt(2), math.sqrt(2)),
    convex=False,
    turning=(-0.7517915246935645,),
)
_GELU_TANH = Curve(
    _gelu_tanh,
    _gelu_tanh_slope,
    inflections=(-1.4185040087908283, 1.4185040087908283),
    convex=False,
    turning=(-0.7524614220710163,),
)


# float64's π/2 is below π/2, and so below arctangents of large numbers.
_RIGHT_ANGLE = math.nextafter(math.pi / 2, math.inf)
_LIMITS = {
    ops.Sigmoid: (0.0, 1.0),
    ops.Tanh: (-1.0, 1.0),
    ops.Arctan: (-_RIGHT_ANGLE, _RIGHT_ANGLE),
    ops.Erf: (-1.0, 1.0),
    ops.Softsign: (-1.0, 1.0),
    ops.Exp: (0.0, math.inf),
    ops.Sinh: (-math.inf, math.inf),
    ops.Cosh: (1.0, math.inf),
    ops.Arcsinh: (-math.inf, math.inf),
}


# Sizes of numbers that cancel in a run: some libraries compute a sigmoid as (1 + tanh(x/2))/2.
_INTERMEDIATE: dict[type[ops.ElementwiseOp], float] = {ops.Sigmoid: 1.0}


@dual_rule(*_LIMITS)  # type: ignore[type-abstract]
class SmoothRule(CurveRule):
    """Activations without parameters."""

    accuracy = LIBRARY

    def intermediate(self, op: ops.ElementwiseOp) -> float:
        return _INTERMEDIATE.get(type(op), 0.0)

    def limits(self, op: ops.ElementwiseOp) -> tuple[float, float]:
        return _LIMITS[type(op)]

    def curve(self, op: ops.ElementwiseOp) -> Curve:
        return _CURVES[type(op)]


@dual_rule(ops.Silu, ops.Mish)
class GatedRule(CurveRule):
    """x times a function that rises from 0 to 1."""

    accuracy = LIBRARY
    of_operand = True

    def curve(self, op: ops.ElementwiseOp) -> Curve:
        return _CURVES[type(op)]


@dual_rule(ops.Gelu)
class GeluRule(CurveRule):
    """x·Φ(x) and its approximation: concave, convex, concave."""

    accuracy = LIBRARY
    of_operand = True

    def curve(self, op: ops.Gelu) -> Curve:
        return _GELU_TANH if op.tanh else _GELU
