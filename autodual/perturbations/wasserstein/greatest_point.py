"""The point of a Wasserstein ball at which a linear function is greatest: an optimal transport plan, carried out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from autodual.perturbations.wasserstein.moves import Moves
from autodual.perturbations.wasserstein.support_function import Gains, at, cheapest, ring_maxima


def greatest_point(rows: Tensor, x: Tensor, budget: Tensor, moves: Moves) -> Tensor:
    """The maximiser of <rows, z> over the balls around x.

    At the best price some pixels are indifferent between moves. Two plans, one with a cost of at least the budget and
    one of at most that, are mixed so that the budget is met.

    Args:
        rows: `[*, N, *channels, H, W]`.
        x: at least 0, `[N, *channels, H, W]`.
        budget: of the ball around each, `[N]`.
        moves: of the plan.

    Returns:
        `[*, N, *channels, H, W]`.
    """
    around = functional.pad(rows, (moves.reach,) * 4, value=-torch.inf)
    leading = rows.dim() - x.dim() + 1
    values = ring_maxima(around, moves).flatten(leading, -2)
    values = torch.where((x.flatten(1) > 0).unsqueeze(-1), values, 0)
    costs = values.new_tensor([ring.cost for ring in moves.rings])
    prices = cheapest(Gains(values, x.flatten(1), costs, budget.expand(values.shape[:-2])))
    shape = (*prices.best.shape, *[1] * (x.dim() - 1))
    (more, dear), (less, cheap) = (
        _moved(around, price.reshape(shape), x, moves) for price in (prices.low, prices.high)
    )
    share = torch.where(dear <= budget, 1, (budget - cheap) / (dear - cheap)).reshape(shape)
    return share * more + (1 - share) * less


def _moved(around: Tensor, price: Tensor, x: Tensor, moves: Moves) -> tuple[Tensor, Tensor]:
    """All mass where it is worth most at a price: the image, and the cost of the plan `[*, N]`."""
    height, width = x.shape[-2:]
    cell = torch.arange(height * width, device=x.device).reshape(height, width)
    best = torch.where(x > 0, at(around, (0, 0), moves), 0)
    target, cost = cell.expand(best.shape), torch.zeros_like(best)
    for ring in moves.rings[1:]:
        for down, right in ring.offsets:
            value = at(around, (down, right), moves) - price * ring.cost
            better = (value > best) & (x > 0)
            best = torch.where(better, value, best)
            target = torch.where(better, cell + (down * width + right), target)
            cost = torch.where(better, ring.cost, cost)
    mass = x.expand(best.shape).flatten(-2)
    moved = torch.zeros_like(mass).scatter_add(-1, target.flatten(-2), mass).reshape(best.shape)
    return moved, (cost * x).flatten(best.dim() - x.dim() + 1).sum(-1)
