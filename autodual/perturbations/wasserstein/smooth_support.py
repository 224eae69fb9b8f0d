"""A smooth upper bound of the greatest value of a linear function over a Wasserstein ball.

    G(ψ) = ψ · budget + Σ_i x_i (1 / λ) log Σ_j exp(λ (y_j − ψ C_ij)),

where j runs over the pixels to which mass may move from pixel i, at the cost C_ij. A log-sum-exp is at least the
maximum, so that G(ψ) ≥ max <y, z> at every price ψ ≥ 0 and sharpness λ > 0; the least G is at most log(targets) / λ
above it for each unit of mass. G is the dual of entropic transport without its row variables (docs/mathematics.md).

The sum over the targets of one ring is the same at every price, so it is taken once. As with the exact bound, a price
is searched for without regard to rounding, and G − <y, x> at that price is what counts: for each unit of mass the
greatest λ (y_j − y_i − ψ C_ij), and to it the logarithm of a sum that is at least 1. So its rounding is that of the
exact bound at the same price, or in its favour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from autodual.perturbations.wasserstein.offers import Offers
from autodual.perturbations.wasserstein.smooth_price import Softened, exponentials
from autodual.perturbations.wasserstein.support_function import best_prices


@dataclass(frozen=True, eq=False)
class SmoothOffers(Offers):
    """What each source gains by moves to all its targets, weighed by the exponentials of what they gain.

    Args:
        sharpness: λ, in units of 1 / y: the larger, the nearer to the maximum.
    """

    sharpness: float

    @cached_property
    def gains(self) -> list[Tensor]:
        """(1 / λ) log Σ exp(λ (y_j − y_i)) over the targets of each ring but that of staying, `[ends, G, K, P]`."""
        here, moves = self.here(), self.asked.canvas.moves
        targets, found = self._targets(), []
        for ring in moves.rings[1:]:
            values = torch.stack([next(targets)[1] for _ in ring.offsets])
            top = values.amax(0)
            total = exponentials(values, top, self.sharpness).sum(0)
            found.append(total.log_().div_(self.sharpness).add_(top).sub_(here))
        return found

    def prices(self) -> Tensor:
        """The price of the least G that Newton's method finds, three times; it begins where F of the rings is least."""
        softened = Softened(self.gains, self.costs, self.mass, self.budget, self.sharpness)
        return softened.cheapest(best_prices(self)[0]).expand(3, *self.shape)

    def worth(self, price: Tensor) -> Tensor:
        """By moves to all targets."""
        nets = [torch.sub(gain, price.unsqueeze(-1), alpha=cost) for gain, cost in zip(self.gains, self.costs)]
        top = torch.zeros_like(nets[0])
        for net in nets:
            torch.maximum(top, net, out=top)
        total = exponentials(torch.zeros_like(top), top, self.sharpness)
        for net in nets:
            total += exponentials(net, top, self.sharpness)
        return total.clamp_(min=1).log_().div_(self.sharpness).add_(top)

    def moved(self, prices: Tensor, weight: Tensor) -> Tensor:
        """By the plan that gives each target its share of the exponentials."""
        canvas, price = self.asked.canvas, prices[0]
        staying = self.here() + self.worth(price)
        mass = self.mass * weight.unsqueeze(-1)
        found = mass.new_zeros(2 * canvas.head + weight.numel() * canvas.size)
        here = slice(canvas.head, found.shape[0] - canvas.head)
        for (ring, value), (_, step) in zip(self._targets(), canvas.steps()):
            most = staying + self.costs[ring - 1] * price.unsqueeze(-1)
            share = exponentials(value, most, self.sharpness).mul_(mass)
            moved = found[here.start + step : here.stop + step].view(*self.shape, canvas.size)
            moved.scatter_add_(-1, self.places, share)
            found[here].view(*self.shape, canvas.size).scatter_add_(-1, self.places, share.neg_())
        images = found[here].view(*self.shape, canvas.channels, -1, canvas.stride)
        return images[..., : canvas.height, : canvas.width]

    def _targets(self) -> Iterator[tuple[int, Tensor]]:
        """The number of each move's ring, and the value at its target, `[ends, G, K, P]`."""
        canvas, length = self.asked.canvas, self.whole.shape[0] - 2 * self.asked.canvas.head
        for ring, step in canvas.steps():
            first = canvas.head + step
            yield ring, self.at_sources(self.whole[first : first + length])
