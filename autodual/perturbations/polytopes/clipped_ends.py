"""Boxes clipped by half-spaces, one after another: each end is the least or greatest value that one of them leaves."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.perturbations.polytopes.sides import Sides

_ROUNDS = 3
# Coefficients that are smaller than this share of the largest one move an end too little to be worth its rounding.
_SMALL = 1e-3


def clipped(lower: Tensor, upper: Tensor, sides: Sides) -> Interval:
    """Boxes `[N, D]` around the part of [lower, upper] on the right side of all half-spaces; ends cross if there is
    none.
    """
    for _ in range(_ROUNDS):
        for place in range(sides.count):
            lower, upper = _once(lower, upper, sides.matrix[:, place], sides.outer[:, place])
    return Interval(lower, upper)


def _once(lower: Tensor, upper: Tensor, row: Tensor, bound: Tensor) -> tuple[Tensor, Tensor]:
    """The box clipped by ⟨row, z⟩ ≤ bound; ends are moved outwards by what rounding may cost them."""
    least = torch.minimum(row * lower, row * upper)
    size = least.abs().sum(1) + bound.abs()
    eps = torch.finfo(row.dtype).eps
    room = (bound - least.sum(1) + (row.shape[1] + 4) * eps * size).unsqueeze(1)
    usable = row.abs() > _SMALL * row.abs().amax(1, keepdim=True)
    end = (least + room) / torch.where(usable, row, 1.0)
    outwards = 4 * eps * (end.abs() + (least.abs() + room.abs()) / torch.where(usable, row.abs(), 1.0))
    high = torch.where(usable & (row > 0), end + outwards, torch.inf)
    low = torch.where(usable & (row < 0), end - outwards, -torch.inf)
    return torch.maximum(lower, low), torch.minimum(upper, high)
