"""The price of moving mass at which the value of a budget, and of all moves that are worth their price, is least."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields

import torch
from torch import Tensor

# Tangents find the minimum in some ten rounds; every fourth round halves the bracket, so that it always shrinks.
_MOST_ROUNDS, _HALVING = 160, 4
# A search goes on with the rows that are left once they are fewer than this share.
_FEW = 0.5


@dataclass(frozen=True, eq=False)
class Bracket:
    """Two prices around the minimum of a convex function, and the best price so far.

    Each is `[3, R]`: the price, the value there, and the slope.
    """

    low: Tensor
    high: Tensor
    best: Tensor

    @property
    def prices(self) -> tuple[Tensor, Tensor, Tensor]:
        """The best price, the one below and the one above."""
        return self.best[0], self.low[0], self.high[0]

    def select(self, index: Tensor) -> Bracket:
        """Those of some rows."""
        return Bracket(*(getattr(self, field.name)[:, index] for field in fields(self)))

    def put(self, index: Tensor, other: Bracket) -> Bracket:
        """With those of `other` in some rows."""
        names = [field.name for field in fields(self)]
        return Bracket(*(getattr(self, name).index_copy(1, index, getattr(other, name)) for name in names))

    def met(self) -> tuple[Tensor, Tensor]:
        """Where the tangents meet: the price, and a value that the function does not fall below."""
        (low, low_value, low_slope), (high, high_value, high_slope) = self.low, self.high
        step = (high_value - low_value - high_slope * (high - low)) / (low_slope - high_slope)
        return low + step, low_value + low_slope * step

    def narrowed(self, point: Tensor) -> Bracket:
        """With a price between the two, its value and slope `[3, R]`, in place of that on its side of the minimum."""
        below, better = point[2] < 0, point[1] < self.best[1]
        return Bracket(
            torch.where(below, point, self.low),
            torch.where(below, self.high, point),
            torch.where(better, point, self.best),
        )


@dataclass(frozen=True, eq=False)
class PriceFunction(ABC):
    """f(ψ) of R rows: what a budget is worth at the price ψ, and all moves beyond it. Convex and piecewise linear."""

    budget: Tensor

    @abstractmethod
    def at(self, price: Tensor) -> Tensor:
        """A price `[R]`, the value there, and the slope, `[3, R]`: by how much the budget exceeds what pays costs."""

    @abstractmethod
    def select(self, index: Tensor) -> PriceFunction:
        """Those of some rows."""

    @property
    @abstractmethod
    def steepest(self) -> Tensor:
        """The most that any move gains for each unit of cost, `[R]`."""

    def bracket(self) -> Bracket:
        """Prices of nothing, and so high that nothing moves."""
        low, price = self.at(torch.zeros_like(self.budget)), 1.01 * self.steepest.clamp(min=0)
        high = torch.stack([price, price * self.budget, self.budget])
        # At a price of 0 the best is known already where the budget suffices for everything.
        return Bracket(low, high, torch.where(low[2] < 0, high, low))


@dataclass(frozen=True, eq=False)
class Savings(PriceFunction):
    """f(ψ) = ψ · budget + Σ_e weight_e · max(0, slope_e − ψ), for R rows.

    Args:
        budget: `[R]`.
        slopes: what a move of mass gains for each unit of cost, `[R, E]`.
        weights: what such moves cost in all, `[R, E]`.
    """

    slopes: Tensor
    weights: Tensor

    def at(self, price: Tensor) -> Tensor:
        gain = (self.slopes - price.unsqueeze(1)).clamp_(min=0)
        value = torch.addcmul((gain * self.weights).sum(1), price, self.budget)
        return torch.stack([price, value, self.budget - gain.sign_().mul_(self.weights).sum(1)])

    def select(self, index: Tensor) -> Savings:
        return Savings(self.budget[index], self.slopes[index], self.weights[index])

    @property
    def steepest(self) -> Tensor:
        return self.slopes.amax(1)


@dataclass(frozen=True, eq=False)
class BestMoves(PriceFunction):
    """f(ψ) = ψ · budget + Σ_i mass_i · max(0, max_r gain_ri − ψ cost_r), for R rows: the same, of each source and ring.

    Args:
        budget: `[R]`.
        gains: of a move from each of P sources to each ring, `[R, rings, P]`.
        costs: of these moves, `[rings]`, ascending.
        mass: of the sources, `[R, P]`.
    """

    gains: Tensor
    costs: Tensor
    mass: Tensor

    def at(self, price: Tensor) -> Tensor:
        best, ring = (self.gains - (price.unsqueeze(1) * self.costs).unsqueeze(2)).max(1)
        moving = self.mass * (best > 0)
        value = torch.addcmul((best * moving).sum(1), price, self.budget)
        return torch.stack([price, value, self.budget - (self.costs[ring] * moving).sum(1)])

    def select(self, index: Tensor) -> BestMoves:
        return BestMoves(self.budget[index], self.gains[index], self.costs, self.mass[index])

    @property
    def steepest(self) -> Tensor:
        return (self.gains.amax(2) / self.costs).amax(1)


def cheapest(function: PriceFunction) -> Bracket:
    """The price at which f is least: the tangents at both ends of a bracket meet at the next price to try.

    The search ends where they meet on f itself. Where it ends early, f is an upper bound of its least value still.
    """
    return _search(function, function.bracket(), 0)


def _search(function: PriceFunction, bracket: Bracket, rounds: int) -> Bracket:
    done = (bracket.low[2] >= 0) | ~(bracket.high[0] > bracket.low[0])
    while rounds < _MOST_ROUNDS:
        left = (~done).nonzero().squeeze(1)
        if left.shape[0] < _FEW * done.shape[0]:
            if left.shape[0] == 0:
                return bracket
            return bracket.put(left, _search(function.select(left), bracket.select(left), rounds))
        low, high = bracket.low[0], bracket.high[0]
        (met, bound), price = bracket.met(), (low + high) / 2
        if rounds % _HALVING < _HALVING - 1:
            price = torch.where((met > low) & (met < high), met, price)
        noise = 4 * torch.finfo(bound.dtype).eps * (bracket.low[1] + bracket.high[1])
        point = function.at(price)
        bracket, rounds = bracket.narrowed(point), rounds + 1
        exhausted = (point[2] == 0) | ~((price > low) & (price < high))
        done = done | exhausted | (bracket.best[1] <= bound + noise)
    return bracket
