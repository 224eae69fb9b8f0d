"""Where a sum of clamped lines reaches a number: the one equation behind projections onto a ball cut to a box."""

from __future__ import annotations

import torch
from torch import Tensor

# Newton's method ends after as many steps as lines change over, a handful; halving the bracket is what remains.
_MOST_STEPS = 60
# Where the bracket is [0, high], its middle is taken to be this share of `high`, rooted.
_FIRST_CUT = 1e-6


def crossing(
    slope: Tensor, offset: Tensor, least: Tensor, most: Tensor, total: Tensor, end: Tensor, start: Tensor | None = None
) -> Tensor:
    """The largest t in [0, end] where Σ clamp(slope · t + offset, least, most) is at most `total`; 0 if nowhere.

    Sums are over the last axis. They rise with t, piece by piece in straight lines, so that Newton's method is exact
    once it has found the piece; a bracket keeps it from going astray.

    Args:
        slope: at least 0, `[*, n]`.
        offset: of the lines.
        least, most: the ends to which each is clamped.
        total: at least 0, `[*, 1]`.
        end: finite and at least 0, `[*, 1]`.
        start: where to look first, `[*, 1]`; None: at the end.

    Returns:
        `[*, 1]`.
    """
    tolerance = 4 * torch.finfo(slope.dtype).eps * total
    low, high, t = torch.zeros_like(end), end, end if start is None else start
    for _ in range(_MOST_STEPS):
        reached, rate = _sum_and_rate(t, slope, offset, least, most)
        below = reached <= total + tolerance
        low, high = torch.where(below, t, low), torch.where(below, high, t)
        done = (below & ((reached >= total - tolerance) | (t >= end))) | (high <= 0)
        if done.all():
            break
        found = t + (total - reached) / rate
        found = torch.where(high == end, found.minimum(end), found)
        middle = low.maximum(_FIRST_CUT * high).sqrt() * high.sqrt()
        inside = (found > low) & ((found < high) | (high == end))
        t = torch.where(done, t, torch.where(inside, found, middle))
    return low


def _sum_and_rate(t: Tensor, slope: Tensor, offset: Tensor, least: Tensor, most: Tensor) -> tuple[Tensor, Tensor]:
    """The sum at t, and how fast it rises there; signs in place of masks, which are slow to make."""
    lines = torch.addcmul(offset, slope, t)
    clamped = torch.clamp(lines, least, most)
    held = lines.sub_(clamped).abs_().sign_()
    return clamped.sum(-1, keepdim=True), (slope - held.mul_(slope)).sum(-1, keepdim=True)
