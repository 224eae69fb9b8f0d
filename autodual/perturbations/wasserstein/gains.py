"""Greatest gains of linear functions over Wasserstein balls, with their gradients: what an optimal plan moves."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from autodual.perturbations.wasserstein.mass_sources import Sources
from autodual.perturbations.wasserstein.optimal_plan import OptimalPlan
from autodual.perturbations.wasserstein.support_function import Offers
from autodual.perturbations.wasserstein.support_question import Question


def greatest_gains(asked: Question, *, both: bool) -> Tensor:
    """max <y, z − x> over the ball around x for each row y, `[1, G, K]`; behind it that of −y, `[2, G, K]`, if `both`.

    Differentiable in the rows, the mass and the budget. Nothing of the way is kept: gradients find the plan again from
    the price, and the plan moves little.
    """
    sources, canvas = asked.sources, asked.canvas
    return _Gains.apply(asked.rows, sources.mass, asked.budget, sources.pixels, asked.penalty, canvas, both)


class _Gains(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows, mass, budget, pixels, penalty, canvas, both):
        asked = Question(rows, Sources(pixels, mass), budget, canvas, penalty)
        shape = (2 if both else 1, asked.groups, asked.count)
        found, prices = rows.new_empty(shape), rows.new_empty((3, *shape))
        if len(canvas.moves.rings) == 1:
            found.zero_()
            prices.zero_()
        else:
            for groups, some, part in asked.blocks(shape[0]):
                offers = Offers.to(part, both=both)
                around = torch.stack(offers.best().prices).view(3, *offers.shape)
                found[:, groups, some], prices[:, :, groups, some] = offers.value(around[0]), around
        ctx.save_for_backward(rows, mass, budget, pixels, penalty, prices)
        ctx.canvas = canvas
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient):
        rows, mass, budget, pixels, penalty, prices = ctx.saved_tensors
        asked = Question(rows, Sources(pixels, mass), budget, ctx.canvas, penalty)
        to_rows, to_mass, to_budget = torch.zeros_like(rows), torch.zeros_like(mass), torch.zeros_like(budget)
        if len(ctx.canvas.moves.rings) > 1:
            for groups, some, part in asked.blocks(len(gradient)):
                share, (best, low, high) = gradient[:, groups, some], prices[:, :, groups, some].unbind(0)
                offers = Offers.to(part, both=len(share) == 2)
                plan = OptimalPlan.of(offers, low, high)
                moved = plan.moved(share)
                _add(to_rows[:, some], groups, moved[0] - moved[1] if len(share) == 2 else moved[0])
                _add(to_mass, groups, (share.unsqueeze(-1) * offers.worth(best)).sum((0, 2)))
                _add(to_budget, groups, (share * best).sum((0, 2)))
        return to_rows, to_mass, to_budget, None, None, None, None


def _add(whole: Tensor, groups: slice, part: Tensor) -> None:
    """Add to the groups of `whole`, or to what all share."""
    if whole.shape[0] == 1:
        whole += part.sum(0, keepdim=True)
    else:
        whole[groups] += part
