"""Boxes clipped by linear lower bounds of functions that are at most zero at every violation.

Where ⟨g, x⟩ + h is at most a half-space's function on a part, points of the part that refute the claim keep
⟨g, x⟩ + h ≤ 0. For one such half-space the ends below are the exact ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import error_factor
from autodual.interval import Interval

# Coefficients that are smaller than this share of the largest one move an end too little to be worth its rounding.
_SMALL = 1e-6


def clipped(lower: Tensor, upper: Tensor, slope: Tensor, offset: Tensor, member: Tensor) -> Interval:
    """The boxes [lower, upper] `[M, D]`, float64, without points where a function is positive.

    slope `[M, R, D]`, offset `[M, R]`: functions of which all that are members, bool `[M, R]`, have to be at most zero.
    An end is never moved beyond the other: where nothing is left, the box stays a box.
    """
    for row in range(slope.shape[1]):
        lower, upper = _clipped_once(lower, upper, slope[:, row], offset[:, row], member[:, row])
    return Interval(lower, upper)


def _clipped_once(lower: Tensor, upper: Tensor, slope: Tensor, offset: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
    least = torch.minimum(slope * lower, slope * upper)
    size = (slope.abs() * torch.maximum(lower.abs(), upper.abs())).sum(1) + offset.abs()
    factor = error_factor(slope.shape[1] + 4, torch.float64)
    room = (-offset - least.sum(1) + 2 * factor * size).unsqueeze(1)
    usable = (slope.abs() > _SMALL * slope.abs().amax(1, keepdim=True)) & member.unsqueeze(1) & room.isfinite()
    end = (least + room) / torch.where(usable, slope, 1.0)
    outwards = 2 * torch.finfo(torch.float64).eps * (end.abs() + lower.abs() + upper.abs())
    high = torch.where(usable & (slope > 0), end + outwards, torch.inf)
    low = torch.where(usable & (slope < 0), end - outwards, -torch.inf)
    return torch.maximum(lower, torch.minimum(low, upper)), torch.minimum(upper, torch.maximum(high, lower))
