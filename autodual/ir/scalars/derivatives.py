"""Values and slopes of functions of one scalar, in forms without cancellation, so that small results stay accurate."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_ROOT_2_OVER_PI = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def between(z: Tensor, start: float, end: float) -> Tensor:
    """1 where `start` < `z` < `end`, else 0."""
    return ((z > start) & (z < end)).to(z.dtype)


def sigmoid_slope(z: Tensor) -> Tensor:
    """The derivative of 1/(1 + e⁻ᶻ), elementwise in `z`."""
    return z.sigmoid() * (-z).sigmoid()


def tanh_slope(z: Tensor) -> Tensor:
    """The derivative 1 - tanh² of tanh at `z`, without the cancellation that would make small slopes inaccurate."""
    return 4 * sigmoid_slope(2 * z)


def arctan_slope(z: Tensor) -> Tensor:
    """The derivative of the inverse tangent, elementwise in `z`."""
    return 1 / (1 + z * z)


def erf_slope(z: Tensor) -> Tensor:
    """The derivative of the error function, elementwise in `z`."""
    return 2 / math.sqrt(math.pi) * torch.exp(-z * z)


def softsign(z: Tensor) -> Tensor:
    """z/(1 + |z|), elementwise in `z`."""
    return z / (1 + z.abs())


def softsign_slope(z: Tensor) -> Tensor:
    """The derivative of `softsign`, elementwise in `z`."""
    return (1 + z.abs()) ** -2


def silu_slope(z: Tensor) -> Tensor:
    """The derivative of z/(1 + e⁻ᶻ), elementwise in `z`."""
    return z.sigmoid() + z * sigmoid_slope(z)


def softplus(z: Tensor) -> Tensor:
    """log(1 + eᶻ), elementwise in `z`, without torch's threshold."""
    return torch.logaddexp(z, torch.zeros_like(z))


def mish_slope(z: Tensor) -> Tensor:
    """The derivative of z·tanh(log(1 + eᶻ)), elementwise in `z`."""
    inner = softplus(z)
    return inner.tanh() + z * tanh_slope(inner) * z.sigmoid()


def density(z: Tensor) -> Tensor:
    """The density of the standard normal distribution at `z`."""
    return torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def distribution(z: Tensor) -> Tensor:
    """Φ(`z`), without the cancellation of 1 + erf, which would make small values inaccurate."""
    return torch.erfc(-z / math.sqrt(2)) / 2


def gelu(z: Tensor) -> Tensor:
    """z·Φ(z), elementwise in `z`."""
    return z * distribution(z)


def gelu_slope(z: Tensor) -> Tensor:
    """The derivative of `gelu`, elementwise in `z`."""
    return distribution(z) + z * density(z)


def gelu_tanh(z: Tensor) -> Tensor:
    """The approximation of `gelu` by tanh, elementwise in `z`."""
    return z * (2 * _ROOT_2_OVER_PI * (z + _CUBIC * z**3)).sigmoid()


def gelu_tanh_slope(z: Tensor) -> Tensor:
    """The derivative of `gelu_tanh`, elementwise in `z`."""
    inner = _ROOT_2_OVER_PI * (z + _CUBIC * z**3)
    gate = (2 * inner).sigmoid()
    # For large |z| the polynomial overflows, where the slope of tanh has long vanished.
    steep = 2 * sigmoid_slope(2 * inner) * z * _ROOT_2_OVER_PI * (1 + 3 * _CUBIC * z * z)
    return gate + torch.where(inner.abs() < 50, steep, torch.zeros_like(steep))


def hardswish_slope(z: Tensor) -> Tensor:
    """The derivative of z·min(max(z + 3, 0), 6)/6, elementwise in `z`."""
    return torch.where(z >= 3, torch.ones_like(z), between(z, -3, 3) * (2 * z + 3) / 6)


def arcsinh_slope(z: Tensor) -> Tensor:
    """1/√(1 + z²), elementwise in `z`; hypot avoids the square, which could overflow."""
    return torch.hypot(z, torch.ones_like(z)).reciprocal()


def arcsin_slope(z: Tensor) -> Tensor:
    """1/√(1 - z²), elementwise in `z`, factored to stay accurate near ±1."""
    return ((1 - z) * (1 + z)).rsqrt()


def arccos_slope(z: Tensor) -> Tensor:
    """-1/√(1 - z²), elementwise in `z`."""
    return -arcsin_slope(z)


def arctanh_slope(z: Tensor) -> Tensor:
    """1/(1 - z²), elementwise in `z`, factored to stay accurate near ±1."""
    return 1 / ((1 - z) * (1 + z))


def arccosh_slope(z: Tensor) -> Tensor:
    """1/√(z² - 1), elementwise in `z`, factored to stay accurate near 1."""
    return (z - 1).rsqrt() * (z + 1).rsqrt()
