"""Where a sum of clamped lines reaches a number: the one equation behind projections onto a ball cut to a box."""

from __future__ import annotations

import torch
from torch import Tensor

# Newton's method ends after as many steps as lines change over, a handful; halving the bracket is what remains.
_MOST_STEPS = 60
# Where the bracket is [0, high], its middle is taken to be this share of `high`, rooted.
_FIRST_CUT = 1e-6


@torch.no_grad()
def crossing(
    slope: Tensor, offset: Tensor, least: Tensor, most: Tensor, total: Tensor, end: Tensor, start: Tensor | None = None
) -> Tensor:
    """The largest t in [0, end] where Σ clamp(slope · t + offset, least, most) is at most `total`; 0 if nowhere.

    Sums are over the last axis. They rise with t, piece by piece in straight lines, so that Newton's method is exact
    once it has found the piece; a bracket keeps it from going astray. No derivatives are kept.

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
    lines, clamped = torch.empty_like(slope), torch.empty_like(slope)
    for _ in range(_MOST_STEPS):
        # In memory that is there already: new memory would take longer than the sums.
        torch.addcmul(offset, slope, t, out=lines)
        torch.clamp(lines, least, most, out=clamped)
        reached = clamped.sum(-1, keepdim=True)
        # 0 and 1 in place of masks, which are slow to make.
        rate = lines.eq_(clamped).mul_(slope).sum(-1, keepdim=True)
        missing = total - reached
        below = missing >= -tolerance
        low, high = torch.where(below, t, low), torch.where(below, high, t)
        done = (missing.abs() <= tolerance) | (low >= end) | (high <= 0)
        if done.all():
            break
        found, untried = t + missing / rate, high == end
        found = torch.where(untried, found.minimum(end), found)
        middle = low.maximum(_FIRST_CUT * high).sqrt() * high.sqrt()
        inside = (found > low) & ((found < high) | untried)
        t = torch.where(done, t, torch.where(inside, found, middle))
    return low
