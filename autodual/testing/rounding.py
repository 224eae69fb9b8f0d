"""The rounding errors that a rule may have: those that rigorous bounds charge for at its node, and no more."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import error_factor, underflow
from autodual.dual import DualLayer
from autodual.interval import Interval
from autodual.tensors import flat


def charged(layer: DualLayer, magnitudes: Sequence[Tensor], outputs: int, dtype: torch.dtype) -> Tensor:
    """The rounding error charged to a row of one unit, `[N, *shape]`, float64.

    It includes the float64 rounding error of the op's own value, with which the row is compared.

    Args:
        layer: the layer.
        magnitudes: the largest absolute values `[N, *shape]` of each input.
        outputs: the number of the node's scalars.
        dtype: the dtype whose rounding is charged.
    """
    reached = layer.magnitude(magnitudes)
    floor = underflow(layer.terms, magnitudes, outputs, like=reached).double()
    for magnitude in magnitudes:
        floor = floor.maximum(flat(of_value(magnitude), 1).amax(1))
    return error_factor(layer.terms, dtype) * reached.double() + floor.reshape(-1, *[1] * (reached.dim() - 1))


def of_value(magnitude: Tensor) -> Tensor:
    """Rounding error of an op's value in float64 at inputs of this `magnitude`, if its formula cancels (1 + erf x)."""
    return 4 * torch.finfo(torch.float64).eps * magnitude.double()


def finite_magnitudes(bounds: Sequence[Interval]) -> list[Tensor]:
    """The largest absolute values over `bounds` of each input, with the largest number in place of infinity."""
    return [bound.magnitude.clamp(max=torch.finfo(bound.lower.dtype).max) for bound in bounds]
