"""The greatest value of linear functions over a Wasserstein ball: one minimum over the price of moving mass.

By linear programming duality

    max <y, z> = min_{ψ ≥ 0} F(ψ),    F(ψ) = ψ · budget + Σ_i x_i max_j (y_j − ψ C_ij),

where j runs over the pixels to which mass may move from pixel i. F is convex and piecewise linear, and every F(ψ) is an
upper bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.perturbations.wasserstein.moves import Moves

# Tangents find the minimum in some ten rounds; every third round halves the bracket, so that it always shrinks.
_MOST_ROUNDS = 90


@dataclass(frozen=True, eq=False)
class Gains:
    """What rows offer to the mass of each source: the greatest value within each ring of targets.

    Args:
        values: `[*, P, rings]`, -inf where no target exists.
        mass: at each source, `[*, P]`; may broadcast.
        costs: of the rings, `[rings]`, the first 0.
        budget: `[*]`; may broadcast.
    """

    values: Tensor
    mass: Tensor
    costs: Tensor
    budget: Tensor

    def at(self, price: Tensor) -> tuple[Tensor, Tensor]:
        """F `[*]` at a price `[*]`, and its slope there."""
        best, ring = (self.values - price[..., None, None] * self.costs).max(-1)
        value = price * self.budget + (self.mass * best).sum(-1)
        return value, self.budget - (self.mass * self.costs[ring]).sum(-1)


@dataclass(frozen=True, eq=False)
class Prices:
    """Where F is least, `[*]`, and the prices on either side whose tangents meet there."""

    best: Tensor
    low: Tensor
    high: Tensor


def cheapest(gains: Gains) -> Prices:
    """The price at which F is least: the tangents at both ends of a bracket meet at the next one to try.

    The search ends where they meet on F itself; where it ends early, F is an upper bound all the same.
    """
    low, high = _bracket(gains)
    (value_low, slope_low), (value_high, slope_high) = gains.at(low), gains.at(high)
    best, least = torch.where(value_high < value_low, high, low), torch.minimum(value_low, value_high)
    done = (slope_low >= 0) | (high <= 0)
    best = torch.where(done, low, best)
    for number in range(_MOST_ROUNDS):
        if done.all():
            break
        met = (value_high - value_low + slope_low * low - slope_high * high) / (slope_low - slope_high)
        bound = value_low + slope_low * (met - low)
        middle = (low + high) / 2
        price = torch.where((met > low) & (met < high), met, middle) if number % 3 < 2 else middle
        value, slope = gains.at(price)
        best = torch.where((value < least) & ~done, price, best)
        least = torch.minimum(value, least)
        done = done | (least <= bound + torch.finfo(bound.dtype).eps * bound.abs())
        done = done | (slope == 0) | ~((low < middle) & (middle < high))
        left = slope < 0
        low, value_low, slope_low = _chosen(left, (price, value, slope), (low, value_low, slope_low))
        high, value_high, slope_high = _chosen(left, (high, value_high, slope_high), (price, value, slope))
    return Prices(best, low, high)


def _bracket(gains: Gains) -> tuple[Tensor, Tensor]:
    """Prices of 0, and so high that no mass moves."""
    low = torch.zeros_like(gains.values[..., 0, 0])
    if gains.costs.shape[0] == 1:
        return low, low
    slopes = (gains.values[..., 1:] - gains.values[..., :1]) / gains.costs[1:]
    return low, 1.01 * slopes.amax((-2, -1)).clamp(min=0)


def _chosen(mask: Tensor, where: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(torch.where(mask, a, b) for a, b in zip(where, other))


def ring_maxima(rows: Tensor, moves: Moves) -> Tensor:
    """The greatest value among the targets of each ring, `[*, H, W, rings]`.

    Args:
        rows: `[*, H + 2 reach, W + 2 reach]`, -inf where no target exists.
        moves: the moves of the plan.
    """
    return torch.stack([_greatest([at(rows, offset, moves) for offset in ring.offsets]) for ring in moves.rings], -1)


def at(rows: Tensor, offset: tuple[int, int], moves: Moves) -> Tensor:
    """Rows `[*, H + 2 reach, W + 2 reach]` at the targets that lie at an offset of each source, `[*, H, W]`."""
    (first, height), (second, width) = (
        (moves.reach + step, size - 2 * moves.reach) for step, size in zip(offset, rows.shape[-2:])
    )
    return rows[..., first : first + height, second : second + width]


def _greatest(values: list[Tensor]) -> Tensor:
    best = values[0]
    for value in values[1:]:
        best = torch.maximum(best, value)
    return best
