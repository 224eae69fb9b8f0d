"""Upper bounds for rows that all samples share, at a few prices: matrix products in place of a search for each pair.

F − <y, x> of a row and a sample at the price ψ is ψ · budget + Σ_i x_i max_j (y_j − y_i − ψ C_ij). The maxima are the
same for all samples x. So at a few prices for each row this is a matrix product for all pairs at once, and the least of
its values is an upper bound of the maximum of <y, z − x>: a few hundredths above it with some sixteen prices.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from autodual.perturbations.wasserstein.moves import Moves, at_targets

# The lowest price above 0, as a share of the price at which no mass moves.
_LOWEST = 0.01


def gains_at_prices(rows: Tensor, mass: Tensor, budget: Tensor, moves: Moves, prices: int) -> Tensor:
    """The least F − <y, x> of K rows and N samples among a few prices of each row; differentiable at that price.

    Args:
        rows: y, `[K, channels, H, W]`.
        mass: x ≥ 0 of the flattened images, `[N, channels · H · W]`.
        budget: `[N]`.
        moves: where mass may move, and what that costs.
        prices: how many, at least 2.

    Returns:
        `[N, K]`.

    Example:
        >>> import torch
        >>> from autodual.perturbations.wasserstein.moves import Moves
        >>> from autodual.perturbations.wasserstein.shared_prices import gains_at_prices
        >>> row, mass = torch.tensor([[[[0.0, 3.0]]]]), torch.tensor([[2.0, 0.0], [1.0, 0.0]])
        >>> gains_at_prices(row, mass, torch.tensor([0.5, 9.0]), Moves(3), prices=5)
        tensor([[1.5000],
                [3.0000]])
    """
    lowest = torch.finfo(rows.dtype).min / 4
    found = []
    for ring in moves.rings:
        targets = [at_targets(rows, offset, moves.reach, lowest) for offset in ring.offsets]
        found.append(reduce(torch.maximum, targets).flatten(1))
    rings = torch.stack(found) - found[0]  # the first ring holds the pixel itself
    costs = rows.new_tensor([ring.cost for ring in moves.rings])
    return _LeastAtPrices.apply(rings, mass, budget, costs, _grid(rings.detach(), costs, prices))


def _grid(rings: Tensor, costs: Tensor, prices: int) -> Tensor:
    """Prices `[prices, K]`: 0, and a geometric sequence up to where no mass moves."""
    gains = rings[1:].amax(-1) / costs[1:, None]
    highest = gains.amax(0).clamp(min=0) if len(gains) else torch.zeros_like(rings[0, :, 0])
    steps = torch.linspace(0, 1, prices - 1, dtype=rings.dtype, device=rings.device)
    return torch.cat([torch.zeros_like(highest)[None], highest * (_LOWEST ** (1 - steps))[:, None]])


class _LeastAtPrices(torch.autograd.Function):
    """Keeps the number of the best ring for its derivative: the maxima are floats, and as large as all rows."""

    @staticmethod
    def forward(ctx: Any, rings: Tensor, mass: Tensor, budget: Tensor, costs: Tensor, grid: Tensor) -> Tensor:
        least = mass.new_full((mass.shape[0], rings.shape[1]), torch.inf)
        place = torch.zeros_like(least, dtype=torch.long)
        chosen = []
        for number, price in enumerate(grid):
            best, ring = (rings - costs[:, None, None] * price[:, None]).max(0)
            chosen.append(ring.to(torch.uint8))
            value = torch.addmm(budget[:, None] * price, mass, best.T)
            place = torch.where(value < least, number, place)
            least = torch.where(value > least, least, value)  # NaN comes out
        ctx.save_for_backward(rings, mass, costs, grid, place, torch.stack(chosen))
        return least

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rings, mass, costs, grid, place, chosen = ctx.saved_tensors
        of_rings, of_mass = torch.zeros_like(rings), torch.zeros_like(mass)
        for number, price in enumerate(grid):
            share = torch.where(place == number, gradient, 0)
            ring = chosen[number].long()[None]
            of_rings.scatter_add_(0, ring, (share.T @ mass)[None])
            if ctx.needs_input_grad[1]:
                best = (rings - costs[:, None, None] * price[:, None]).gather(0, ring)[0]
                of_mass += share @ best
        of_budget = (gradient * grid.T.gather(1, place.T).T).sum(1)
        return of_rings, of_mass, of_budget, None, None
