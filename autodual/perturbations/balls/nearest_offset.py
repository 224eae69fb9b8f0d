"""The Euclidean projection onto a ball of finite order cut to a box, as a family of ever shorter offsets.

Minimising Σ (z_i − d_i)² subject to Σ |z_i|^p ≤ r^p and z in the box, the first-order conditions with the multiplier λ
of the ball are feature by feature those without the box, clamped to it. So one number for each sample has to be found:
for p = 1 a threshold, for p = 2 a factor, else λ itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.perturbations.balls.clamped_offset import lowered_offset, scaled_offset
from autodual.perturbations.balls.clamped_sum import crossing
from autodual.perturbations.balls.room import Room
from autodual.perturbations.regions.row_norms import dual_order

_MOST_STEPS, _INNER_STEPS = 60, 12


def nearest_offset(order: float, offset: Tensor, room: Room, reach: Tensor) -> Tensor:
    """Offsets which, once clamped to the box, are the nearest ones of p-norm at most `reach`.

    Args:
        order: p, in [1, inf).
        offset: `[*, N, n]`, whose clamped p-norm exceeds the reach.
        room: the box.
        reach: `[N, 1]`.
    """
    if order == 2:
        return shorter_offset(order, offset, room, reach)
    lowered = lowered_offset(offset, room, reach) if order == 1 else None
    if lowered is not None:
        return lowered
    size, most = offset.abs(), room.most(offset)
    if order != 1:
        return _by_multiplier(order, size, room.gap, most, reach).copysign(offset)
    peak = size.amax(-1, keepdim=True)
    threshold = peak - crossing(torch.ones_like(size), size - peak, room.gap, most, reach, peak)
    return offset - offset.clamp(-threshold, threshold)


def shorter_offset(order: float, offset: Tensor, room: Room, reach: Tensor, end: Tensor | None = None) -> Tensor:
    """The longest multiple of offsets that is of p-norm at most `reach` once it is clamped to the box.

    Args:
        order, offset, room, reach: as of `nearest_offset`.
        end: the largest multiple, to the power p, `[*, N, 1]`; None: 1, from where the result is not far.
    """
    scaled = scaled_offset(order, offset, room, reach) if end is None and room.around else None
    if scaled is not None:
        return scaled
    slope, ends, total = offset.abs().pow_(order), room.most(offset).pow_(order), reach**order
    least, none = room.gap**order, torch.zeros_like(slope[..., :1])
    if end is None:
        found = crossing(slope, none, least, ends, total, none + 1)
    else:
        found = crossing(slope, none, least, ends, total, end, (total / slope.sum(-1, keepdim=True)).minimum(end))
    return offset * found ** (1 / order)


def _by_multiplier(order: float, size: Tensor, least: Tensor, most: Tensor, reach: Tensor) -> Tensor:
    """Sizes `[*, N, n]` for any order: Newton's method on the multiplier, kept in a bracket."""
    limits = torch.finfo(size.dtype)
    reach = reach.clamp(min=limits.tiny)
    low = torch.zeros_like(size[..., :1])
    # Even without the ends the p-norm is at most the reach from this multiplier on, since z^(p−1) ≤ d / (λ p).
    whole = torch.linalg.vector_norm(size, dual_order(order), dim=-1, keepdim=True)
    high = multiplier = whole / (order * reach ** (order - 1))
    for _ in range(_MOST_STEPS):
        found = _stationary(order, size, multiplier)
        clamped = torch.clamp(found, least, most)
        length = torch.linalg.vector_norm(clamped, order, dim=-1, keepdim=True)
        below = length <= reach
        low, high = torch.where(below, low, multiplier), torch.where(below, multiplier, high)
        if ((high - low <= 4 * limits.eps * high) | (below & (length >= (1 - 4 * limits.eps) * reach))).all():
            break
        step = multiplier + (length - reach) / _rate(order, multiplier, (found == clamped) * found, length)
        middle = low.maximum(1e-6 * high).sqrt() * high.sqrt()
        multiplier = torch.where((step > low) & (step < high), step, middle)
    return _stationary(order, size, high)


def _rate(order: float, multiplier: Tensor, free: Tensor, length: Tensor) -> Tensor:
    """How fast the p-norm falls as the multiplier rises, where only `free` sizes (0 elsewhere) move."""
    each = order * free ** (order - 1) / (1 + order * (order - 1) * multiplier * free ** (order - 2))
    return ((free / length) ** (order - 1) * each).nan_to_num(0, 0, 0).sum(-1, keepdim=True)


def _stationary(order: float, size: Tensor, multiplier: Tensor) -> Tensor:
    """The solution w of w + λ p w^(p−1) = size.

    Written so that the power is at least 1, the left side is convex, and Newton's method descends to the solution from
    any larger number without overshooting.
    """
    power, weight = order - 1, order * multiplier
    linear, curved = (torch.ones_like(weight), weight) if power >= 1 else (weight, torch.ones_like(weight))
    power = power if power >= 1 else 1 / power
    found = torch.minimum(size / linear, (size / curved) ** (1 / power))
    for _ in range(_INNER_STEPS):
        high_power = curved * found ** (power - 1)
        excess = found * (linear + high_power) - size
        found = (found - excess / (linear + power * high_power)).clamp(min=0)
    return found if order >= 2 else found**power
