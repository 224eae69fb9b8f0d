"""The price of moving mass at which the smooth bound of a linear function over a Wasserstein ball is least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Exponents are raised to this: what is less adds nothing, and exponentials that underflow take a hundred times longer.
LEAST_EXPONENT = -80.0
# Newton's method needs some five rounds.
_MOST_ROUNDS = 60
# Exponentials at one price serve others at which their exponents change by at most this.
_NEAR = 20.0


@dataclass(frozen=True, eq=False)
class Softened:
    """G as a function of the price.

    Args:
        gains: what a source gains by moves to each ring but that of staying, `[*, P]` each.
        costs: of a move to each of these rings.
        mass: at each source, `[*, P]`.
        budget: `[*]`.
        sharpness: λ.
    """

    gains: Sequence[Tensor]
    costs: Sequence[float]
    mass: Tensor
    budget: Tensor
    sharpness: float

    def cheapest(self, start: Tensor) -> Tensor:
        """The price `[*]` of the least G, by Newton's method in a bracket of the minimum.

        Args:
            start: a price near it, `[*]`.
        """
        high = self._steep()
        low, price = torch.zeros_like(high), start.minimum(high)
        nearby, last = self._nearby(price), torch.full_like(price, torch.inf)
        enough = torch.finfo(price.dtype).eps ** 0.75 * self.budget
        for _ in range(_MOST_ROUNDS):
            slope, curvature = nearby.derivatives(price)
            falls, step = slope < 0, -slope / curvature
            low, high = torch.where(falls, price, low), torch.where(falls, high, price)
            # G falls by about slope · step / 2 until its minimum, and no further than its tangent in the bracket.
            going = slope.abs() * torch.minimum(high - low, step.abs()) > enough * price
            if not going.any():
                break
            # Either the slope halves or the bracket does.
            newton = (price + step > low) & (price + step < high) & (slope.abs() < last / 2)
            price = torch.where(going, torch.where(newton, price + step, (low + high) / 2), price)
            last = slope.abs()
            nearby = self._nearby(price) if nearby.far(price) else nearby
        return price

    def _nearby(self, price: Tensor) -> _Nearby:
        nets = [torch.sub(gain, price.unsqueeze(-1), alpha=cost) for gain, cost in zip(self.gains, self.costs)]
        shares = torch.stack([torch.zeros_like(nets[0]), *nets], -2)
        shares = exponentials(shares, shares.amax(-2, keepdim=True), self.sharpness)
        costs = price.new_tensor([0.0, *self.costs])
        return _Nearby(shares, price, costs, self.mass, self.budget, self.sharpness)

    def _steep(self) -> Tensor:
        """A price `[*]` from which on G does not fall, since too little mass moves to spend the budget."""
        dearest, present = torch.zeros_like(self.mass[..., 0]), self.mass > 0
        for gain, cost in zip(self.gains, self.costs):
            dearest = torch.maximum(dearest, torch.where(present, gain, 0).amax(-1) / cost)
        worth = sum(self.costs) * self.mass.sum(-1)
        tiny = torch.finfo(worth.dtype).tiny
        share = (self.budget / worth.clamp(min=tiny)).clamp(tiny, 1)
        return dearest - share.log() / self.sharpness


@dataclass(frozen=True, eq=False)
class _Nearby:
    """G near a price, where exponentials change by a factor for each ring.

    Args:
        shares: exponentials of what moves to each ring gain, the ring of staying first, `[*, rings, P]`.
        centre: the price they were taken at, `[*]`.
        costs: of all rings.
    """

    shares: Tensor
    centre: Tensor
    costs: Tensor
    mass: Tensor
    budget: Tensor
    sharpness: float

    def far(self, price: Tensor) -> bool:
        """Whether exponentials must be taken anew."""
        return bool(((price - self.centre).abs().max() * self.sharpness * self.costs[-1]) > _NEAR)

    def derivatives(self, price: Tensor) -> tuple[Tensor, Tensor]:
        """G' and G'' at prices `[*]`."""
        factors = ((self.centre - price).unsqueeze(-1) * self.sharpness * self.costs).exp()
        powers = torch.stack([torch.ones_like(self.costs), self.costs, self.costs**2])
        total, cost, square = ((factors.unsqueeze(-2) * powers) @ self.shares).unbind(-2)
        each = self.mass / total
        spent = each * cost
        spread = (each * square).sub_(spent * cost / total).clamp_(min=0)
        return self.budget - spent.sum(-1), self.sharpness * spread.sum(-1)


def exponentials(values: Tensor, top: Tensor, sharpness: float) -> Tensor:
    """exp(λ (values − top)), in place of the values; a little more where that is less than exp(−80).

    Args:
        values: at most `top`.
        top: broadcasts to them.
        sharpness: λ.
    """
    return values.sub_(top).mul_(sharpness).clamp_(min=LEAST_EXPONENT).exp_()
