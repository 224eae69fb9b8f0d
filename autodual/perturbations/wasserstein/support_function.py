"""How much more than at the sample a linear function can be in a Wasserstein ball, and at which price of moving mass.

By linear programming duality

    max <y, z> = min_{ψ ≥ 0} F(ψ),    F(ψ) = ψ · budget + Σ_i x_i max_j (y_j − ψ C_ij),

where j runs over the pixels to which mass may move from pixel i at a cost of C_ij, and ψ is a price. F is convex and
piecewise linear. Only the greatest y_j at each distance matters. Every F(ψ) is an upper bound: so the price is searched
for without regard to rounding, and F − <y, x> at that price is then computed as it is written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from autodual.perturbations.wasserstein.price_search import Bracket, Savings, cheapest
from autodual.perturbations.wasserstein.support_question import Question


@dataclass(frozen=True, eq=False)
class Offers:
    """What each source gains by a move, ring by ring: `[ends, G, K, P]`, staying left out.

    Args:
        asked: a block of rows.
        whole: the rows, or the rows and their negatives (the `ends`), as `Canvas.laid_out` makes them.
        ends: 1 or 2.
    """

    asked: Question
    whole: Tensor
    ends: int

    @classmethod
    def to(cls, asked: Question, *, both: bool) -> Offers:
        """The offers of rows, or of rows and their negatives if `both`."""
        rows, penalty = asked.rows, asked.penalty
        if penalty is not None and rows.shape[0] < penalty.shape[0]:
            rows = rows.expand(penalty.shape[0], *rows.shape[1:])
        if penalty is not None:
            penalty = penalty.expand(rows.shape[0], asked.count, *rows.shape[2:]).flatten(0, 1)
        return cls(asked, asked.canvas.laid_out(rows.flatten(0, 1), both, penalty), 2 if both else 1)

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(ends, G, K)`."""
        return self.ends, self.asked.groups, self.asked.count

    @cached_property
    def places(self) -> Tensor:
        """Where sources lie on the canvas of a row, `[ends, G, K, P]`."""
        found = self.asked.canvas.positions(self.asked.sources.pixels)
        return found.unsqueeze(1).expand(*self.shape, -1)

    @cached_property
    def mass(self) -> Tensor:
        """At each source, `[ends, G, K, P]`."""
        return self.asked.sources.mass.unsqueeze(1).expand(*self.shape, -1)

    @cached_property
    def costs(self) -> list[float]:
        """Of a move to each ring."""
        return [ring.cost for ring in self.asked.canvas.moves.rings[1:]]

    @cached_property
    def gains(self) -> list[Tensor]:
        """The greatest value in each ring minus that of the source itself."""
        here, rows = self._here(), (self.ends, -1, self.asked.count, self.asked.canvas.size)
        return [
            ring.reshape(rows).expand(*self.shape, -1).gather(-1, self.places).sub_(here)
            for ring in self.asked.canvas.ring_maxima(self.whole)
        ]

    def _here(self) -> Tensor:
        """The rows' values at the sources themselves, `[ends, G, K, P]`."""
        size = self.shape[1:]
        pixels = self.asked.sources.pixels.unsqueeze(1).expand(*size, -1)
        found = self.asked.rows.flatten(2).expand(*size, -1).gather(-1, pixels)
        return torch.stack([found, -found][: self.ends])

    def best(self) -> Bracket:
        """The best price of each row, `[ends · G · K]`."""
        costs = [0.0, *self.costs]
        steps = self.mass.new_tensor([after - before for before, after in pairwise(costs)])
        weights = (self.asked.sources.mass.unsqueeze(1) * steps.unsqueeze(1)).flatten(1)
        return cheapest(
            Savings(
                _concave_slopes(self.gains, self.costs).reshape(-1, weights.shape[1]),
                weights.unsqueeze(1).expand(*self.shape, -1).reshape(-1, weights.shape[1]),
                self.asked.budget.unsqueeze(1).expand(*self.shape).reshape(-1),
            )
        )

    def worth(self, price: Tensor) -> Tensor:
        """What the best move of one unit of mass from each source gains beyond its price, `[ends, G, K, P]`.

        Args:
            price: `[ends, G, K]`.
        """
        found = torch.zeros_like(self.places, dtype=price.dtype)
        for gain, cost in zip(self.gains, self.costs):
            torch.maximum(found, torch.sub(gain, price.unsqueeze(-1), alpha=cost), out=found)
        return found

    def value(self, price: Tensor) -> Tensor:
        """F at a price `[ends, G, K]`, minus <y, x>; rounded once to its dtype from sums in float64."""
        moved = self.worth(price).mul_(self.mass).sum(-1, dtype=torch.float64)
        return (moved + price.double() * self.asked.budget.unsqueeze(1).double()).to(price.dtype)


def _concave_slopes(gains: list[Tensor], costs: list[float]) -> Tensor:
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
