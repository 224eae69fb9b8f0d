"""The price of moving mass at which the value of a budget, and of all moves that are worth their price, is least."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

# Tangents find the minimum in some ten rounds; every fourth round halves the bracket, so that it always shrinks.
_MOST_ROUNDS, _HALVING = 160, 4
# A search goes on with the rows that are left once they are fewer than this share.
_FEW = 0.5


@dataclass(frozen=True, eq=False)
class Bracket:
    """Two prices around the minimum of a convex function and the tangents there; the best price, and its value.

    All are `[R]`.
    """

    low: Tensor
    low_value: Tensor
    low_slope: Tensor
    high: Tensor
    high_value: Tensor
    high_slope: Tensor
    best: Tensor
    least: Tensor

    def select(self, index: Tensor) -> Bracket:
        """Those of some rows."""
        return Bracket(*(getattr(self, field.name)[index] for field in fields(self)))

    def put(self, index: Tensor, other: Bracket) -> Bracket:
        """With those of `other` in some rows."""
        names = [field.name for field in fields(self)]
        return Bracket(*(getattr(self, name).index_copy(0, index, getattr(other, name)) for name in names))

    def met(self) -> tuple[Tensor, Tensor]:
        """Where the tangents meet: the price, and a value that the function does not fall below."""
        across = self.high_value - self.low_value + self.low_slope * self.low - self.high_slope * self.high
        price = across / (self.low_slope - self.high_slope)
        return price, self.low_value + self.low_slope * (price - self.low)

    def narrowed(self, price: Tensor, value: Tensor, slope: Tensor) -> Bracket:
        """With a price between the two in place of that on the same side of the minimum."""
        below, better = slope < 0, value < self.least
        return Bracket(
            torch.where(below, price, self.low),
            torch.where(below, value, self.low_value),
            torch.where(below, slope, self.low_slope),
            torch.where(below, self.high, price),
            torch.where(below, self.high_value, value),
            torch.where(below, self.high_slope, slope),
            torch.where(better, price, self.best),
            torch.where(better, value, self.least),
        )


@dataclass(frozen=True, eq=False)
class Savings:
    """f(ψ) = ψ · budget + Σ_e weight_e · max(0, slope_e − ψ), for R rows.

    Args:
        slopes: what a move of mass gains for each unit of cost, `[R, E]`.
        weights: what such moves cost in all, `[R, E]`.
        budget: `[R]`.
    """

    slopes: Tensor
    weights: Tensor
    budget: Tensor

    def at(self, price: Tensor) -> tuple[Tensor, Tensor]:
        """The value at a price `[R]`, and the slope: what the budget exceeds the cost of all worthwhile moves by."""
        gain = (self.slopes - price.unsqueeze(1)).clamp_(min=0)
        value = torch.addcmul((gain * self.weights).sum(1), price, self.budget)
        return value, self.budget - gain.sign_().mul_(self.weights).sum(1)

    def select(self, index: Tensor) -> Savings:
        """Those of some rows."""
        return Savings(self.slopes[index], self.weights[index], self.budget[index])

    def bracket(self) -> Bracket:
        """Prices of nothing, and so high that nothing moves."""
        low = torch.zeros_like(self.budget)
        high = 1.01 * self.slopes.amax(1).clamp(min=0)
        value, slope = self.at(low)
        # At a price of 0 the best is known already where the budget suffices for everything.
        best, high_value = torch.where(slope < 0, high, low), high * self.budget
        least = torch.where(slope < 0, high_value, value)
        return Bracket(low, value, slope, high, high_value, self.budget, best, least)


def cheapest(savings: Savings) -> Bracket:
    """The price at which f is least: the tangents at both ends of a bracket meet at the next price to try.

    The search ends where they meet on f itself. Where it ends early, f is an upper bound of its least value still.
    """
    return _search(savings, savings.bracket(), 0)


def _search(savings: Savings, bracket: Bracket, rounds: int) -> Bracket:
    done = (bracket.low_slope >= 0) | ~(bracket.high > bracket.low)
    while rounds < _MOST_ROUNDS:
        left = (~done).nonzero().squeeze(1)
        if left.shape[0] < _FEW * done.shape[0]:
            if left.shape[0] == 0:
                return bracket
            return bracket.put(left, _search(savings.select(left), bracket.select(left), rounds))
        met, bound = bracket.met()
        middle = (bracket.low + bracket.high) / 2
        inside = (met > bracket.low) & (met < bracket.high) & (rounds % _HALVING < _HALVING - 1)
        price = torch.where(inside, met, middle)
        value, slope = savings.at(price)
        noise = 4 * torch.finfo(value.dtype).eps * (bracket.low_value + bracket.high_value)
        found = bracket.narrowed(price, value, slope)
        done = done | (found.least <= bound + noise) | (slope == 0) | ~((price > bracket.low) & (price < bracket.high))
        bracket, rounds = found, rounds + 1
    return bracket
