"""Where margins of many samples cross zero as their radius grows: found with cheap bounds, shown with proved ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: The margins `[n]` of the samples with the indices `[n]`, at the radii `[N]` of all samples.
Margins = Callable[[Tensor, Tensor], Tensor]

_FIRST = 1 / 16
"""Where to look first, as a share of the largest radius: bounds over small sets are cheap."""
_AWAY = 0.45
"""How far from the expected crossing to look on either side of it, as a share of the tolerance."""
_GALLOP = 4.0
_FAR_BELOW = 1e3
"""How many times further below zero than the nominal margin is above it a margin tells nothing of the crossing."""


def expected_crossing(
    margins: Margins, nominal: Tensor, limit: Tensor, active: Tensor, tolerance: float, max_steps: int
) -> Tensor:
    """A radius `[N]` near which each active sample's margin crosses zero, at most its limit `[N]`.

    By the line through the radii on either side of the crossing, or through 0 and the last radius while no margin is
    negative. A margin that stays while the other side moves twice counts half (the Illinois rule), so that both sides
    move. Far below zero, as where bounds grow exponentially or overflow, the line says nothing, and a much smaller
    radius is next. Margins need not be proved, since nothing is claimed of the radius.

    nominal: the margins `[N]` at radius 0.
    """
    nominal = nominal.to(limit)
    low, high, above, below = torch.zeros_like(limit), limit.clone(), nominal.clone(), nominal.clone()
    guess, was_positive = limit * _FIRST, torch.ones_like(limit, dtype=torch.bool)
    for _ in range(max_steps):
        if active.shape[0] == 0:
            break
        here, margin = guess[active], margins(active, guess).to(limit).nan_to_num(-torch.inf, torch.inf, -torch.inf)
        positive = margin > 0
        again = positive == was_positive[active]
        low[active], high[active] = torch.where(positive, here, low[active]), torch.where(positive, high[active], here)
        above[active] = torch.where(positive, margin, torch.where(again, above[active] / 2, above[active]))
        below[active] = torch.where(positive, torch.where(again, below[active] / 2, below[active]), margin)
        was_positive[active] = positive
        lower, upper, first, second = low[active], high[active], above[active], below[active]
        falls = second <= 0
        steep = torch.where(falls, (first - second) / (upper - lower), (nominal[active] - first) / lower)
        crossing = lower + first / steep
        crossing = torch.where(crossing.isfinite() & (steep > 0), crossing, torch.inf).minimum(upper)
        guess[active] = torch.where(second < -_FAR_BELOW * nominal[active], _between(lower, upper, tolerance), crossing)
        done = ((guess[active] - here).abs() <= tolerance) | (lower == limit[active])
        active = active[~done]
    return guess


def _between(lower: Tensor, upper: Tensor, tolerance: float) -> Tensor:
    """Radii between lower and upper ones: the geometric mean, which finds their order of magnitude, if it is above the
    lower one, and at most the middle.
    """
    middle, mean = (lower + upper) / 2, lower.clamp(min=tolerance).sqrt() * upper.sqrt()
    return torch.where(mean > lower, mean.minimum(middle), middle)


def certified_below(
    proved: Callable[[Tensor, Tensor], Tensor],
    expected: Tensor,
    limit: Tensor,
    active: Tensor,
    tolerance: float,
    max_steps: int,
    told: Callable[[int, int], None],
) -> Tensor:
    """Radii `[N]` at which active samples were proved, little below ones at which they were not, or their limits.

    Begins just below what is expected, goes on from there in growing steps until both sides are known, and halves what
    is between them.

    proved: whether samples are proved `[n]`, of the arguments of `Margins`. told: is called at each step, with the
    number of samples that are still searched.
    """
    certified, refused, seen = torch.zeros_like(limit), limit.clone(), torch.zeros_like(limit, dtype=torch.bool)
    guess, stride = torch.where(expected >= limit, limit, expected - _AWAY * tolerance), 2 * _AWAY * tolerance
    guess = torch.where(guess > 0, guess, expected / 2)
    for step in range(max_steps):
        told(active.shape[0], step)
        if active.shape[0] == 0:
            break
        here, holds = guess[active], proved(active, guess)
        certified[active] = torch.where(holds, here, certified[active])
        refused[active] = torch.where(holds, refused[active], here)
        seen[active] |= ~holds
        low, high = certified[active], refused[active]
        ahead = torch.where(holds, (here + stride).minimum(limit[active]), here - stride)
        alone = torch.where(holds, ~seen[active], (low == 0) & (ahead > 0))
        guess[active] = torch.where(alone, ahead, (low + high) / 2)
        stride *= _GALLOP
        active = active[~((high - low <= tolerance) & seen[active] | (low == limit[active]))]
    return certified
