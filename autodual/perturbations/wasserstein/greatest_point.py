"""The point of a Wasserstein ball at which a linear function is greatest: an optimal transport plan, carried out."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.perturbations.regions.row_norms import flatten
from autodual.perturbations.wasserstein.canvas import Canvas, nowhere
from autodual.perturbations.wasserstein.mass_sources import sources_of
from autodual.perturbations.wasserstein.moves import Moves
from autodual.perturbations.wasserstein.optimal_plan import OptimalPlan
from autodual.perturbations.wasserstein.support_function import ExactOffers
from autodual.perturbations.wasserstein.support_question import Question, as_images


def greatest_point(rows: Tensor, x: Tensor, budget: Tensor, moves: Moves, box: Interval | None = None) -> Tensor:
    """The maximiser of <rows, z> over the balls around x; within a box a near one, if it is smaller.

    Args:
        rows: `[*, N, *channels, H, W]`.
        x: at least 0, `[N, *channels, H, W]`.
        budget: of the ball around each, `[N]`.
        moves: of the plan.
        box: that must hold the points, `[N, *channels, H, W]`; x lies in it.

    Returns:
        `[*, N, *channels, H, W]`.

    Example:
        >>> import torch
        >>> from autodual.perturbations.wasserstein.greatest_point import greatest_point
        >>> from autodual.perturbations.wasserstein.moves import Moves
        >>> row, x = torch.tensor([[[0.0, 1.0, 4.0]]]), torch.tensor([[[1.0, 0.0, 0.0]]])
        >>> greatest_point(row, x, torch.tensor([0.5]), Moves(5))
        tensor([[[0.7500, 0.0000, 0.2500]]])
    """
    if len(moves.rings) == 1 or rows.numel() == 0:
        return x.expand_as(rows).clone()
    each = as_images(rows.detach().reshape(-1, *x.shape).transpose(0, 1))
    sources, room = sources_of(flatten(x.detach(), 1)), None if box is None else _room(x, box)
    full = None if room is None else (room[0] <= 0).to(x.dtype) * nowhere(x.dtype)
    asked = Question(each, sources, budget.detach(), Canvas.of(each, moves), full)
    moved = torch.empty_like(each)
    for groups, some, part in asked.blocks(1):
        offers = ExactOffers.to(part, both=False)
        best, *around = offers.prices()
        plan = OptimalPlan.of(offers, *around)
        if room is not None:
            plan = plan.within(*(end[groups].expand(part.rows.shape) for end in room))
        moved[groups, some] = plan.moved(torch.ones_like(best))[0]
    return (x + moved.transpose(0, 1).reshape(rows.shape)).clamp(min=0)


def _room(x: Tensor, box: Interval) -> tuple[Tensor, Tensor]:
    """How much each pixel can take and give, `[N, 1, channels, H, W]`."""
    return as_images((box.upper - x).unsqueeze(1)), as_images((x - box.lower).unsqueeze(1))
