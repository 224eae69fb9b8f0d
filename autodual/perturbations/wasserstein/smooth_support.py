"""A smooth upper bound of the greatest value of a linear function over a Wasserstein ball.

    G(ψ) = ψ · budget + Σ_i x_i (1 / λ) log Σ_j exp(λ (y_j − ψ C_ij)),

where j runs over the pixels to which mass may move from pixel i, at the cost C_ij. A log-sum-exp is at least the
maximum, so that G(ψ) ≥ max <y, z> at every price ψ ≥ 0 and sharpness λ > 0; the least G is at most log(targets) / λ
above it for each unit of mass. G is the dual of entropic transport without its row variables (docs/mathematics.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autodual.perturbations.wasserstein.mass_sources import Sources
from autodual.perturbations.wasserstein.moves import Moves, at_targets

# Newton's method needs some eight rounds; a round whose step leaves the bracket halves that instead.
_MOST_ROUNDS = 60


def smooth_supremum(rows: Tensor, sources: Sources, budget: Tensor, moves: Moves, sharpness: float) -> Tensor:
    """The least G(ψ) over ψ ≥ 0: an upper bound of max <y, z> over the ball, wherever the search for ψ ends.

    Differentiable, as G at the best ψ (the envelope theorem). Exponentials are taken of numbers ≤ 0 alone, so that
    float32 needs no care.

    Args:
        rows: y, `[G or 1, K, channels, H, W]`; -inf, or very low, where a pixel does not exist.
        sources: the pixels that hold the mass x of each of G groups, or of one if all share it.
        budget: ε Σ x, `[G or 1]`.
        moves: where mass may move, and what that costs.
        sharpness: λ, in units of 1 / y: the larger, the nearer to the maximum.

    Returns:
        `[G, K]`.

    Example:
        >>> import torch
        >>> from autodual.perturbations.wasserstein.mass_sources import sources_of
        >>> from autodual.perturbations.wasserstein.moves import Moves
        >>> from autodual.perturbations.wasserstein.smooth_support import smooth_supremum
        >>> row, mass = torch.tensor([0.0, 1.0, 3.0]).reshape(1, 1, 1, 1, 3), torch.tensor([[0.0, 2.0, 0.0]])
        >>> of_mass = sources_of(mass)
        >>> [round(float(smooth_supremum(row, of_mass, torch.tensor([0.5]), Moves(3), of)), 3) for of in (10.0, 1000.0)]
        [3.112, 3.001]
    """
    sums = _ring_sums(rows, moves, sharpness).flatten(3)
    groups = max(sums.shape[1], sources.pixels.shape[0])
    places = sources.pixels[:, None].expand(groups, rows.shape[1], -1).expand(len(sums), -1, -1, -1)
    sums = sums.expand(-1, groups, -1, -1).gather(3, places)
    softened = _Softened(sums, sources.mass.unsqueeze(1), budget.unsqueeze(1), moves, sharpness)
    with torch.no_grad():
        price = softened.detached().cheapest()
    return softened.value(price)


def _ring_sums(rows: Tensor, moves: Moves, sharpness: float) -> Tensor:
    """(1 / λ) log Σ exp(λ y_j) over the targets of each ring, `[rings, *rows]`.

    What is no target counts as a value that is finite, for the sake of derivatives, and too low to matter.
    """
    lowest = torch.finfo(rows.dtype).min / (8 * max(sharpness, 1.0))
    rows, sums = rows.clamp(min=lowest), []
    for ring in moves.rings:
        targets = torch.stack([at_targets(rows, offset, moves.reach, lowest) for offset in ring.offsets])
        sums.append((sharpness * targets).logsumexp(0) / sharpness)
    return torch.stack(sums)


@dataclass(frozen=True, eq=False)
class _Point:
    """G and its first two derivatives at a price."""

    value: Tensor
    slope: Tensor
    curvature: Tensor


@dataclass(frozen=True, eq=False)
class _Softened:
    """G as a function of the price, from the rings' sums at the sources, `[rings, G, K, P]`."""

    sums: Tensor
    mass: Tensor
    budget: Tensor
    moves: Moves
    sharpness: float

    def detached(self) -> _Softened:
        return replace(self, sums=self.sums.detach(), mass=self.mass.detach(), budget=self.budget.detach())

    def value(self, price: Tensor) -> Tensor:
        """G at prices `[G, K]`."""
        lines = self.sums - price.unsqueeze(-1) * self._costs
        return price * self.budget + self._weighed((self.sharpness * lines).logsumexp(0) / self.sharpness)

    def at(self, price: Tensor) -> _Point:
        """G, G' and G'' at prices `[G, K]`, from one set of exponentials."""
        lines = self.sums - price.unsqueeze(-1) * self._costs
        top = lines.amax(0)
        shares = lines.sub_(top).mul_(self.sharpness).exp_()
        total = shares.sum(0)
        cost = (shares * self._costs).sum(0) / total
        spread = (shares.mul_(self._costs**2).sum(0) / total - cost**2).clamp(min=0)
        value = price * self.budget + self._weighed(top + total.log() / self.sharpness)
        return _Point(value, self.budget - self._weighed(cost), self.sharpness * self._weighed(spread))

    def cheapest(self) -> Tensor:
        """The price `[G, K]` of the least G found by Newton's method, kept in a bracket of the minimum."""
        low, high = torch.zeros_like(self.steep), self.steep
        price, point = low, self.at(low)
        best, least = price, point.value
        enough = torch.finfo(least.dtype).eps ** 0.75
        for number in range(_MOST_ROUNDS):
            falls = point.slope < 0
            low, high = torch.where(falls, price, low), torch.where(falls, high, price)
            # G is convex: over the rest of the bracket it falls no further than its tangent.
            if (point.slope.abs() * (high - low) <= enough * least.abs()).all():
                break
            price = price - point.slope / point.curvature
            within = (price > low) & (price < high)
            price = torch.where(within, price, (low + high) / 2) if number % 3 < 2 else (low + high) / 2
            point = self.at(price)
            best, least = torch.where(point.value < least, price, best), torch.minimum(point.value, least)
        return best

    @property
    def steep(self) -> Tensor:
        """A price `[G, K]` from which on G does not fall, since too little mass moves to spend the budget."""
        costs = self._costs[1:]
        gains = torch.where(self.mass > 0, (self.sums[1:] - self.sums[0]) / costs, 0).clamp(min=0)
        dearest = gains.amax((0, -1)) if gains.numel() else torch.zeros_like(self.sums[0, ..., 0])
        worth = costs.sum() * self.mass.sum(-1)
        tiny = torch.finfo(worth.dtype).tiny
        share = (self.budget / worth.clamp(min=tiny)).clamp(tiny, 1)
        return dearest - share.log() / self.sharpness

    @property
    def _costs(self) -> Tensor:
        """The cost of each ring, which broadcasts with `sums`."""
        costs = self.sums.new_tensor([ring.cost for ring in self.moves.rings])
        return costs.reshape(-1, *[1] * (self.sums.dim() - 1))

    def _weighed(self, values: Tensor) -> Tensor:
        """Σ_i x_i values_i."""
        return (self.mass * values).sum(-1)
