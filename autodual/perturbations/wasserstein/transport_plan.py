"""Local transport plans: how much mass of each pixel makes each move, where it arrives, what it costs, and repair.

A plan is `[T, N, *channels, H, W]`: entry t of a pixel is the mass that leaves it by the t-th of T moves. A plan whose
entries of each pixel add up to the image, and whose cost is within the budget, shows that where it arrives lies in the
ball.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from autodual.perturbations.wasserstein.moves import Moves, at_targets


def offsets(moves: Moves) -> tuple[tuple[int, int], ...]:
    """All T moves, the first of which is to stay.

    Example:
        >>> from autodual.perturbations.wasserstein.moves import Moves
        >>> from autodual.perturbations.wasserstein.transport_plan import offsets
        >>> offsets(Moves(3))[:3]
        ((0, 0), (-1, 0), (0, -1))
    """
    return tuple(offset for ring in moves.rings for offset in ring.offsets)


def costs(moves: Moves, like: Tensor) -> Tensor:
    """What each move costs for each unit of mass, `[T, 1, …]` for images `like` `[N, *channels, H, W]`."""
    each = [ring.cost for ring in moves.rings for _ in ring.offsets]
    return torch.tensor(each, dtype=like.dtype, device=like.device).reshape(-1, *[1] * like.dim())


def values_at_targets(values: Tensor, moves: Moves, outside: float) -> Tensor:
    """The value at each pixel's target, `[T, *, H, W]`, of values `[*, H, W]`; `outside` where there is no target."""
    return torch.stack([at_targets(values, offset, moves.reach, outside) for offset in offsets(moves)])


def arrivals(plan: Tensor, moves: Moves) -> Tensor:
    """The image `[N, *channels, H, W]` to which a plan takes its own.

    Args:
        plan: `[T, N, *channels, H, W]`, nothing at targets outside the image.
        moves: where mass may move.
    """
    reach, (height, width) = moves.reach, plan.shape[-2:]
    found = functional.pad(torch.zeros_like(plan[0]), (reach,) * 4)
    for (down, right), mass in zip(offsets(moves), plan, strict=True):
        found[..., reach + down :, reach + right :][..., :height, :width] += mass
    return found[..., reach : reach + height, reach : reach + width]


def plan_cost(plan: Tensor, moves: Moves) -> Tensor:
    """What each sample's plan costs, `[N]`."""
    return (plan * costs(moves, plan[0])).transpose(0, 1).flatten(1).sum(1)


def repaired(plan: Tensor, x: Tensor, budget: Tensor, moves: Moves) -> Tensor:
    """A plan near a given one that moves the mass of x, no more and no less, within the budget.

    Each pixel's moves are scaled to its mass. Where that costs too much, so large a share of every move is undone as
    brings the cost to the budget. So any plan, of an iteration that has not come to its end too, gives a point of the
    ball.

    Args:
        plan: nonnegative, `[T, N, *channels, H, W]`, nothing at targets outside the image.
        x: the images, `[N, *channels, H, W]`.
        budget: of each, `[N]`.
        moves: where mass may move.

    Returns:
        `[T, N, *channels, H, W]`.

    Example:
        >>> import torch
        >>> from autodual.perturbations.wasserstein.moves import Moves
        >>> from autodual.perturbations.wasserstein.transport_plan import arrivals, repaired
        >>> plan = torch.zeros(9, 1, 1, 2)
        >>> plan[3, 0, 0, 0] = 5  # the whole first pixel moves to the right
        >>> arrivals(repaired(plan, torch.tensor([[[1.0, 0.0]]]), torch.tensor([0.25]), Moves(3)), Moves(3))
        tensor([[[0.7500, 0.2500]]])
    """
    mass = plan.sum(0)
    plan = plan * torch.where(mass > 0, x / mass, 0)
    plan[0] += torch.where(mass > 0, 0, x)
    cost = plan_cost(plan, moves)
    share = torch.where(cost > budget, budget / cost, 1).reshape(-1, *[1] * (x.dim() - 1))
    plan = share * plan
    plan[0] += (1 - share) * x
    return plan
