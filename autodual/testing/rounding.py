"""How far off a rule may be: what rigorous bounds charge for rounding at its node, and not more."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import error_factor, underflow
from autodual.dual import DualLayer
from autodual.interval import Interval
from autodual.testing.sample_axes import flat


def charged(layer: DualLayer, magnitudes: Sequence[Tensor], outputs: int, dtype: torch.dtype) -> Tensor:
    """`[N, *shape]`, float64: what a row of one unit of an output pays, for inputs at most `magnitudes` large.

    To this comes what the op's own value, with which it is compared, may be off by in float64.
    """
    reached = layer.interval([Interval(-magnitude, magnitude) for magnitude in magnitudes]).magnitude
    floor = underflow(layer.terms, magnitudes, outputs, like=reached).double()
    for magnitude in magnitudes:
        floor = floor.maximum(flat(of_value(magnitude), 1).amax(1))
    return error_factor(layer.terms, dtype) * reached.double() + floor.reshape(-1, *[1] * (reached.dim() - 1))


def of_value(magnitude: Tensor) -> Tensor:
    """How far off float64 may be in an op's value at inputs so large, where its formula cancels (1 + erf x)."""
    return 4 * torch.finfo(torch.float64).eps * magnitude.double()


def finite_magnitudes(bounds: Sequence[Interval]) -> list[Tensor]:
    """The largest absolute values between bounds, with the largest number in place of infinity."""
    return [bound.magnitude.clamp(max=torch.finfo(bound.lower.dtype).max) for bound in bounds]
