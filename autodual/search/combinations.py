"""The best combination of a claim's half-spaces: a game's value, found by multiplicative weights.

A point that refutes a claim makes all its half-spaces' functions at most zero. So there is none where a combination of
their linear lower functions is positive.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import error_factor
from autodual.search.claims import Claims

_ROUNDS = 24
_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Functions:
    """Linear functions slope · x + offset of the input, which lie below half-spaces' functions: `[M, R, D]`, `[M, R]`,
    float64.
    """

    slope: Tensor
    offset: Tensor


@dataclass(frozen=True, eq=False)
class Combined:
    """By part, the best weights `[M, R]` found and the combination's least value `[M]`, float64."""

    weight: Tensor
    value: Tensor

    def at_least(self, other: Combined) -> Combined:
        """The better of the two, part by part."""
        better = other.value > self.value
        weight = torch.where(better.unsqueeze(1), other.weight, self.weight)
        return Combined(weight, torch.where(better, other.value, self.value))


def certain_functions(functions: Functions, claims: Claims, lower: Tensor, upper: Tensor, beyond: Tensor) -> Functions:
    """The functions minus the claims' offsets, lowered by what rounding may cost their values in a box [lower, upper]
    `[M, D]` and those of their combinations: sums of D + R terms. beyond `[M, D]`: how far points may lie outside.
    """
    slope, offset = functions.slope, functions.offset
    size = torch.maximum(lower.abs(), upper.abs()).unsqueeze(1)
    terms = (slope.abs() * size).sum(2) + offset.abs() + claims.offset.abs() + claims.slack
    factor = error_factor(slope.shape[1] + slope.shape[2] + 2, torch.float64)
    outside = (slope.abs() * beyond.unsqueeze(1)).sum(2)
    paid = factor * terms + 2 * outside + slope.shape[2] * torch.finfo(torch.float64).tiny
    return Functions(slope, offset - claims.offset - claims.slack - paid)


def combined(
    functions: Functions, member: Tensor, lower: Tensor, upper: Tensor, expected: Tensor | None = None
) -> Combined:
    """The best combination over boxes [lower, upper] `[M, D]`.

    member `[M, R]`: which functions there are. expected `[M, R]`: weights, not negative, that may be the best.
    """
    slope, offset = functions.slope, functions.offset
    middle, half = lower + (upper - lower) / 2, (upper - lower) / 2
    at_middle = torch.einsum("mrd,md->mr", slope, middle) + offset
    single = at_middle - torch.einsum("mrd,md->mr", slope.abs(), half)
    value, weight = best_single(single, member)
    if bool((member.sum(1) > 1).any()):
        value, weight = _mixed(slope, at_middle, member, half, value, weight)
    found = Combined(weight, value)
    if expected is None:
        return found
    mixed = torch.einsum("mr,mrd->md", expected, slope)
    return found.at_least(Combined(expected, _least(expected, mixed, at_middle, half)))


def best_single(values: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
    """The largest value `[M]` of each part's own, and weights `[M, R]` that choose it; NaN counts as the least."""
    best = torch.where(member & ~values.isnan(), values, -torch.inf)
    value, row = best.max(1)
    return value, torch.zeros_like(best).scatter(1, row.unsqueeze(1), 1.0)


def _mixed(
    slope: Tensor, at_middle: Tensor, member: Tensor, half: Tensor, value: Tensor, chosen: Tensor
) -> tuple[Tensor, Tensor]:
    """Multiplicative weights: every weighting is sound, and the best one seen is kept."""
    weight = member.to(slope) / member.sum(1, keepdim=True).clamp(min=1)
    spread = torch.einsum("mrd,md->mr", slope.abs(), half)
    scale = torch.where(member, at_middle.abs() + spread, 0.0).amax(1, keepdim=True).clamp(min=_TINY)
    for _ in range(_ROUNDS):
        mixed = torch.einsum("mr,mrd->md", weight, slope)
        reply = at_middle - torch.einsum("mrd,md->mr", slope, half * mixed.sign())
        # The weights are renormalised only up to rounding; scaling a combination does not change its sign.
        total = _least(weight, mixed, at_middle, half)
        better = total > value
        value = torch.where(better, total, value)
        chosen = torch.where(better.unsqueeze(1), weight, chosen)
        grown = torch.where(member, weight * (reply / scale).clamp(-1, 1).exp(), 0.0)
        weight = grown / grown.sum(1, keepdim=True).clamp(min=_TINY)
    return value, chosen


def _least(weight: Tensor, mixed: Tensor, at_middle: Tensor, half: Tensor) -> Tensor:
    """The least values `[M]` of combinations, whose slopes are `mixed` `[M, D]`, over boxes of half widths `[M, D]`."""
    return (weight * at_middle).sum(1) - (mixed.abs() * half).sum(1)
