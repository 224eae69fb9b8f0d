"""The least and the greatest value of each pixel over a Wasserstein ball, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.perturbations.wasserstein.moves import Moves, at_targets


def pixel_intervals(x: Tensor, budget: Tensor, moves: Moves) -> Interval:
    """The tightest interval of every pixel: mass leaves to the nearest target, and the nearest mass arrives first.

    Args:
        x: at least 0, `[N, *channels, H, W]`.
        budget: of the ball around each, `[N, 1, …]` with as many axes as x.
        moves: of the plan; all channels share the budget, which one pixel can use alone.

    Example:
        >>> import torch
        >>> from autodual.perturbations.wasserstein.moves import Moves
        >>> from autodual.perturbations.wasserstein.pixel_intervals import pixel_intervals
        >>> found = pixel_intervals(torch.tensor([[[1.0, 2.0, 0.0]]]), torch.tensor([[[0.5]]]), Moves(3))
        >>> found.lower, found.upper
        (tensor([[[0.5000, 1.5000, 0.0000]]]), tensor([[[1.5000, 2.5000, 0.5000]]]))
    """
    leaving, arriving = torch.zeros_like(x), torch.zeros_like(x)
    left = budget.expand_as(x)
    nearest = torch.full_like(x, torch.inf)
    for ring in moves.rings[1:]:
        sources = sum((at_targets(x, offset, moves.reach, 0.0) for offset in ring.offsets), torch.zeros_like(x))
        moved = torch.minimum(sources, left / ring.cost)
        arriving, left = arriving + moved, (left - ring.cost * moved).clamp(min=0)
        exists = sum((at_targets(torch.ones_like(x), offset, moves.reach, 0.0) for offset in ring.offsets), 0)
        nearest = torch.where((exists > 0) & nearest.isinf(), ring.cost, nearest)
    leaving = torch.minimum(x, budget / nearest)
    return Interval(x - leaving, x + arriving)
