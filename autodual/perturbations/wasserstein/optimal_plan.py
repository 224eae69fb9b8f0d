"""Which mass an optimal plan moves, and where to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autodual.perturbations.wasserstein.offers import Offers


@dataclass(frozen=True, eq=False)
class OptimalPlan:
    """An optimal plan of each row: all mass that moves, T times from one pixel to another.

    Args:
        offers: of the block of rows.
        row: the number of each move's row among ends · G · K, `[T]`.
        source, target: pixels of the row's canvas, `[T]`.
        mass: that moves, `[T]`.
    """

    offers: Offers
    row: Tensor
    source: Tensor
    target: Tensor
    mass: Tensor

    @classmethod
    def of(cls, offers: Offers, low: Tensor, high: Tensor) -> OptimalPlan:
        """The mixture of the best plans at two prices around the best one that costs as much as the budget.

        At the best price some sources are indifferent between moves. The plan for less costs at least the budget, the
        one for more at most that, and any mixture is optimal.

        Args:
            offers: of the block of rows.
            low, high: the prices, `[ends, G, K]`.
        """
        # The search compares slopes, which are rounded in another way: what it found worth the price must be so here.
        slack = 16 * torch.finfo(low.dtype).eps
        dear, cheap = _Moves.at(offers, low * (1 - slack)), _Moves.at(offers, high * (1 + slack))
        most, least = (moves.cost.view(offers.shape) for moves in (dear, cheap))
        budget = offers.asked.budget.unsqueeze(1)
        share = torch.where(most <= budget, 1, ((budget - least) / (most - least)).clamp(0, 1)).flatten()
        parts = [(dear, dear.mass * share[dear.row]), (cheap, cheap.mass * (1 - share)[cheap.row])]
        row, source, target = (
            torch.cat([getattr(moves, name) for moves, _ in parts]) for name in ("row", "source", "target")
        )
        return cls(offers, row, source, target, torch.cat([mass for _, mass in parts]))

    def within(self, arriving: Tensor, leaving: Tensor) -> OptimalPlan:
        """The plan with less of those moves that bring a pixel more, or take more from it, than it can take or give.

        Args:
            arriving, leaving: the most of each pixel, `[G, K, channels, height, width]`.
        """
        canvas, share = self.offers.asked.canvas, torch.ones_like(self.mass)
        for most, pixel in ((arriving, self.target), (leaving, self.source)):
            place = self.row * canvas.size + pixel
            total = self.mass.new_zeros(most.shape[0] * most.shape[1] * canvas.size).index_add_(0, place, self.mass)
            room = canvas.laid_out(most.flatten(0, 1), both=False)[canvas.head :][: total.shape[0]]
            share = share.minimum((room / total)[place])
        return replace(self, mass=self.mass * share)

    def moved(self, weight: Tensor) -> Tensor:
        """What arrives at each pixel minus what leaves it, times a weight `[ends, G, K]` of each row.

        Returns:
            `[ends, G, K, channels, height, width]`.
        """
        canvas, shape = self.offers.asked.canvas, self.offers.shape
        mass = self.mass * weight.flatten()[self.row]
        start = self.row * canvas.size
        found = mass.new_zeros(weight.numel() * canvas.size)
        found.index_add_(0, start + self.target, mass).index_add_(0, start + self.source, -mass)
        images = found.view(*shape, canvas.channels, -1, canvas.stride)
        return images[..., : canvas.height, : canvas.width]


@dataclass(frozen=True, eq=False)
class _Moves:
    """All moves that are worth a price."""

    row: Tensor
    source: Tensor
    target: Tensor
    mass: Tensor
    cost: Tensor

    @classmethod
    def at(cls, offers: Offers, price: Tensor) -> _Moves:
        worth, rings = torch.zeros_like(offers.mass), torch.zeros_like(offers.places)
        for number, (gain, cost) in enumerate(zip(offers.gains, offers.costs), 1):
            net = torch.sub(gain, price.unsqueeze(-1), alpha=cost)
            rings = torch.where(net > worth, number, rings)
            worth = torch.maximum(worth, net)
        rings, mass = rings.flatten(0, 2), offers.mass.reshape(-1, offers.mass.shape[-1])
        row, place = ((rings > 0) & (mass > 0)).nonzero().unbind(1)
        ring, mass = rings[row, place], mass[row, place]
        source = offers.places.reshape(rings.shape)[row, place]
        costs = torch.tensor([0.0, *offers.costs], dtype=mass.dtype, device=mass.device)[ring]
        total = mass.new_zeros(rings.shape[0]).index_add_(0, row, mass * costs)
        return cls(row, source, _targets(offers, row, source, ring), mass, total)


def _targets(offers: Offers, row: Tensor, source: Tensor, ring: Tensor) -> Tensor:
    """The target with the greatest value in each move's ring, `[T]`."""
    canvas, (_, groups, count) = offers.asked.canvas, offers.shape
    laid_out = (offers.whole.shape[0] - 2 * canvas.head) // canvas.size // offers.ends
    # Rows that all groups share are laid out once.
    own = row if laid_out == groups * count else row // (groups * count) * count + row % count
    start = canvas.head + own * canvas.size
    best = torch.full_like(offers.whole[:1], -torch.inf).expand(row.shape)
    target = source
    for number, step in canvas.steps():
        value = torch.where(ring == number, offers.whole[start + source + step], -torch.inf)
        target = torch.where(value > best, source + step, target)
        best = torch.maximum(best, value)
    return target
