"""How much more than at the sample a linear function can be in a Wasserstein ball, and at which price of moving mass.

By linear programming duality

    max <y, z> = min_{ψ ≥ 0} F(ψ),    F(ψ) = ψ · budget + Σ_i x_i max_j (y_j − ψ C_ij),

where j runs over the pixels to which mass may move from pixel i at a cost of C_ij, and ψ is a price. F is convex and
piecewise linear. Only the greatest y_j at each distance matters. Every F(ψ) is an upper bound: so the price is searched
for without regard to rounding, and F − <y, x> at that price is then computed as it is written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from autodual.perturbations.wasserstein.offers import Offers
from autodual.perturbations.wasserstein.optimal_plan import OptimalPlan
from autodual.perturbations.wasserstein.price_search import BestMoves, Savings, cheapest

#: With more rings than these but that of staying, F is searched ring by ring.
_FEW_RINGS = 16


@dataclass(frozen=True, eq=False)
class ExactOffers(Offers):
    """What each source gains by its best move."""

    @cached_property
    def gains(self) -> list[Tensor]:
        """The greatest value in each ring but that of staying, minus that of the source itself: `[ends, G, K, P]`."""
        here = self.here()
        return [self.at_sources(ring).sub_(here) for ring in self.asked.canvas.ring_maxima(self.whole)]

    def prices(self) -> Tensor:
        """The price of the least F, and those around it between which the search ended."""
        return best_prices(self)

    def worth(self, price: Tensor) -> Tensor:
        """By the best move."""
        found = torch.zeros_like(self.places, dtype=price.dtype)
        for gain, cost in zip(self.gains, self.costs):
            torch.maximum(found, torch.sub(gain, price.unsqueeze(-1), alpha=cost), out=found)
        return found

    def moved(self, prices: Tensor, weight: Tensor) -> Tensor:
        """By an optimal plan."""
        return OptimalPlan.of(self, prices[1], prices[2]).moved(weight)


def best_prices(offers: Offers) -> Tensor:
    """The price of the least F by the offers' gains, and those around it between which the search ended.

    Returns:
        `[3, ends, G, K]`.
    """
    few = len(offers.costs) <= _FEW_RINGS
    found = cheapest(_savings(offers) if few else _best_moves(offers))
    return torch.stack(found.prices).view(3, *offers.shape)


def _savings(offers: Offers) -> Savings:
    """F by the concave envelopes of gains, which cost the square of the number of rings and are quick to search."""
    steps = offers.mass.new_tensor([after - before for before, after in pairwise([0.0, *offers.costs])])
    weights = (offers.asked.sources.mass.unsqueeze(1) * steps.unsqueeze(1)).flatten(1)
    return Savings(
        offers.budget.reshape(-1),
        _concave_slopes(offers.gains, offers.costs).reshape(-1, weights.shape[1]),
        weights.unsqueeze(1).expand(*offers.shape, -1).reshape(-1, weights.shape[1]),
    )


def _best_moves(offers: Offers) -> BestMoves:
    """F as it is written: nothing to make, and all rings to look at again for each price."""
    sources = offers.mass.shape[-1]
    gains = torch.stack(list(offers.gains), -2).reshape(-1, len(offers.costs), sources)
    costs = offers.mass.new_tensor(offers.costs)
    return BestMoves(offers.budget.reshape(-1), gains, costs, offers.mass.reshape(-1, sources))


def _concave_slopes(gains: Sequence[Tensor], costs: Sequence[float]) -> Tensor:
    """Slopes of the least concave function above (0, 0) and the points (cost, gain), `[*, rings, P]`.

    Between the knots e − 1 and e it is min_{a < e} max_{b ≥ e} of the slopes from knot a to knot b.
    """
    knots = [0.0, *costs]
    shape = (*gains[0].shape[:-1], len(gains), gains[0].shape[-1])
    found = torch.full(shape, torch.inf, dtype=gains[0].dtype, device=gains[0].device)
    for first in range(len(gains)):
        steepest = None
        for last in range(len(gains), first, -1):
            rise = gains[last - 1] if first == 0 else gains[last - 1] - gains[first - 1]
            slope = rise * (1 / (knots[last] - knots[first]))
            steepest = slope if steepest is None else torch.maximum(steepest, slope, out=steepest)
            end = found[..., last - 1, :]
            torch.minimum(end, steepest, out=end)
    return found
