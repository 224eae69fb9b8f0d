"""The best multiplier of a ball for each row: a concave problem in one number, solved for all rows at once.

Of rows with slopes b and constants e on stretches of each unit's operand, relative to the ball's centre, it maximises

    Σ_i min over stretches k and low ≤ w ≤ high of [e_k + b_k w + λ/2 w²]  -  λ/2 ρ²        over λ ≥ 0.

Any λ gives a lower bound, so it does not matter how near the best one is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Steps towards the best multiplier. Each would be the last if the units that are at their ends stayed there.
_STEPS = 5


@dataclass(frozen=True, eq=False)
class Stretch:
    """The terms e + b w, low ≤ w ≤ high, of each row and unit; all broadcast to `[G, K, U]`."""

    low: Tensor
    high: Tensor
    slope: Tensor
    constant: Tensor


@dataclass(frozen=True, eq=False)
class LeastTerms:
    """The least values of all terms for given multipliers.

    total: their sum, `[G, K]`. place: where they are, w `[G, K, U]`. later: for each stretch but the first, where its
    term is lower than all before it. squares: Σ w². free: the part of it that is not at an end.
    """

    total: Tensor
    place: Tensor
    later: tuple[Tensor, ...]
    squares: Tensor
    free: Tensor


@dataclass(frozen=True, eq=False)
class Multiplied:
    """What rows gain `[G, K]` by their multipliers `[G, K]`, and the terms' least values there."""

    gain: Tensor
    multiplier: Tensor
    terms: LeastTerms


def best_multiplier(stretches: Sequence[Stretch], radius: Tensor, slack: float) -> Multiplied:
    """The best multipliers that a few steps find, 0 among them.

    Args:
        stretches: the terms.
        radius: ρ, `[G or 1, 1]`; not finite where nothing is known.
        slack: γ of sums over the units: every product with a multiplier is charged for its rounding.
    """
    known = radius.isfinite()
    radius = torch.where(known, radius, 0.0)
    with torch.no_grad():
        multiplier = _search(stretches, radius, slack)
        multiplier = torch.where(known, multiplier, 0.0)
    terms = _least(stretches, multiplier)
    return Multiplied(_gain(terms, multiplier, radius, slack), multiplier, terms)


def _search(stretches: Sequence[Stretch], radius: Tensor, slack: float) -> Tensor:
    steepest = stretches[0].slope.abs()
    for other in stretches[1:]:
        steepest = steepest.maximum(other.slope.abs())
    # No larger one can be best: all places together are inside the ball then.
    here = steepest.square().sum(2).sqrt() / radius.clamp(min=torch.finfo(radius.dtype).tiny)
    best = torch.zeros_like(here)
    value = _least(stretches, best).total
    for _ in range(_STEPS):
        terms = _least(stretches, here)
        gain = _gain(terms, here, radius, slack)
        better = gain > value
        best, value = torch.where(better, here, best), torch.where(better, gain, value)
        room = radius.square() - (terms.squares - terms.free)
        # With the units at their ends left where they are, the others move as 1 / λ, to the edge of the ball.
        ratio = torch.where(room > 0, terms.free / room, terms.squares / radius.square()).sqrt()
        here = here * ratio
    return best


def _gain(terms: LeastTerms, multiplier: Tensor, radius: Tensor, slack: float) -> Tensor:
    square = radius.square()
    # The products with squared places are part of the total already; what rounding costs them is charged here.
    return terms.total - multiplier / 2 * (square + slack * (square + terms.squares))


def _least(stretches: Sequence[Stretch], multiplier: Tensor) -> LeastTerms:
    half = multiplier.unsqueeze(2) / 2
    step = -0.5 / half.clamp(min=torch.finfo(half.dtype).tiny)
    first, *others = (_least_of(one, half, step) for one in stretches)
    least, place, vertex = first
    chosen = []
    for value, other, its in others:
        lower = value < least
        chosen.append(lower)
        least, place, vertex = value.minimum(least), torch.where(lower, other, place), torch.where(lower, its, vertex)
    squared = place.square()
    return LeastTerms(least.sum(2), place, tuple(chosen), squared.sum(2), (squared * (place == vertex)).sum(2))


def _least_of(one: Stretch, half: Tensor, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The least value of each term, where it is, and where it would be without ends. half: λ / 2; step: -1 / λ."""
    vertex = (one.slope * step).detach()
    place = vertex.clamp(one.low, one.high)
    return one.constant + place * (one.slope + half * place), place, vertex
