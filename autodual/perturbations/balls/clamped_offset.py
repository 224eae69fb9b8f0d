"""Offsets shrunk until they have a given length once they are clamped to a box, by Newton's method.

This is what a step of an attack ends with. All work is done on signed offsets in memory that is there already, and no
masks of features are made: one costs as much as several products. Callers have other ways where it does not converge.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.perturbations.balls.room import Room

# It takes three or four. A bracket costs less than the steps that are lost without one only where it takes more.
_MOST_STEPS, _STEPS_WITHOUT_BRACKET = 20, 4


@torch.no_grad()
def scaled_offset(order: float, offset: Tensor, room: Room, reach: Tensor) -> Tensor | None:
    """The longest multiple, of at most 1, of offsets whose p-norm is at most `reach` once it is clamped; clamped.

    The p-norm to the power p is a concave function of the multiple to the power p, since nothing is clamped from below.
    So tangents never lead too far.

    Args:
        order: p, in [1, inf).
        offset: `[*, N, n]`.
        room: a box around the centres (`around`).
        reach: `[N, 1]`.

    Returns:
        `[*, N, n]`; None where it did not converge, as with numbers that are not finite.
    """
    eps = torch.finfo(offset.dtype).eps
    total = reach**order
    share = least = (total / _power_sum(offset, order)).clamp_(max=1)  # where the tangent at 0 leads
    enough = (1 - 12 * eps) * total
    lines, clamped = torch.empty_like(offset), torch.empty_like(offset)
    for _ in range(_MOST_STEPS):
        torch.mul(offset, share ** (1 / order), out=lines)
        torch.clamp(lines, room.low, room.high, out=clamped)
        reached = _power_sum(clamped, order)
        if ((reached >= enough) | (share >= 1)).all():
            return clamped
        # 0 and 1 in place of a mask: the lines that are not clamped.
        rate = _power_sum(lines.eq_(clamped).mul_(clamped), order) / share
        ahead = (total - reached) / rate
        share = (share + ahead).clamp_(max=1).maximum(least)
    return None


@torch.no_grad()
def lowered_offset(offset: Tensor, room: Room, reach: Tensor) -> Tensor | None:
    """Offsets brought closer to 0, all by the same least amount, so that their l1 norm is at most `reach`; clamped.

    Args:
        offset: `[*, N, n]`.
        room: the box.
        reach: `[N, 1]`.

    Returns:
        `[*, N, n]`; None where it did not converge.
    """
    tolerance = 4 * torch.finfo(offset.dtype).eps * reach
    less, aim = torch.zeros_like(offset[..., :1]), reach
    low, high = less, torch.full_like(less, torch.inf)
    lines, clamped = torch.empty_like(offset), torch.empty_like(offset)
    for step in range(_MOST_STEPS):
        torch.clamp(offset, -less, less, out=clamped)
        torch.sub(offset, clamped, out=lines)
        torch.clamp(lines, room.low, room.high, out=clamped)
        reached = _power_sum(clamped, 1)
        aim = aim if step else reached.minimum(reach)  # what is short enough stays
        excess = reached - aim
        if (excess.abs() <= tolerance).all():
            return clamped
        free = torch.linalg.vector_norm(lines.eq_(clamped).mul_(clamped), 0, -1, keepdim=True)
        found = less + excess / free.clamp_(min=1)
        if step >= _STEPS_WITHOUT_BRACKET:
            # Lines that leave their upper ends make it jump to and fro.
            low, high = torch.where(excess > 0, less, low), torch.where(excess < 0, less, high)
            found = torch.where((found >= low) & (found <= high), found, (low + high) / 2)
        less = found
    return None


def _power_sum(values: Tensor, order: float) -> Tensor:
    """Σ |v|^p, `[*, 1]`."""
    if order == 1:  # a sum is more precise than a norm, which has no root to lose
        return values.abs().sum(-1, keepdim=True)
    return torch.linalg.vector_norm(values, order, -1, keepdim=True) ** order
