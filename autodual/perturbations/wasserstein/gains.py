"""Greatest gains of linear functions over Wasserstein balls, with their gradients: what a plan moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from autodual.perturbations.wasserstein.mass_sources import Sources
from autodual.perturbations.wasserstein.offers import Offers
from autodual.perturbations.wasserstein.support_question import Question

#: Lays out a block of rows, with their negatives if its keyword `both` is True.
LayOut = Callable[..., Offers]


def gains(asked: Question, lay_out: LayOut, *, both: bool) -> Tensor:
    """Bounds of max <y, z − x> over the ball around x for each row y; behind them those of −y if `both`.

    Differentiable in the rows, the mass and the budget. Nothing of the way is kept: gradients find the plan again from
    the price, and the plan moves little.

    Args:
        asked: the rows.
        lay_out: `ExactOffers.to` for the maxima themselves, or that of other offers, with their own fields given.
        both: whether rows' negatives are asked for.

    Returns:
        `[1, G, K]`, or `[2, G, K]` if both.
    """
    sources, canvas = asked.sources, asked.canvas
    return _Gains.apply(asked.rows, sources.mass, asked.budget, sources.pixels, asked.penalty, canvas, both, lay_out)


class _Gains(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows, mass, budget, pixels, penalty, canvas, both, lay_out):
        asked = Question(rows, Sources(pixels, mass), budget, canvas, penalty)
        shape = (2 if both else 1, asked.groups, asked.count)
        found, prices = rows.new_empty(shape), rows.new_empty((3, *shape))
        if len(canvas.moves.rings) == 1:
            found.zero_()
            prices.zero_()
        else:
            for groups, some, part in asked.blocks(shape[0]):
                offers = lay_out(part, both=both)
                around = offers.prices()
                found[:, groups, some], prices[:, :, groups, some] = offers.value(around[0]), around
        ctx.save_for_backward(rows, mass, budget, pixels, penalty, prices)
        ctx.canvas, ctx.lay_out = canvas, lay_out
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient):
        rows, mass, budget, pixels, penalty, prices = ctx.saved_tensors
        asked = Question(rows, Sources(pixels, mass), budget, ctx.canvas, penalty)
        to_rows, to_mass, to_budget = torch.zeros_like(rows), torch.zeros_like(mass), torch.zeros_like(budget)
        if len(ctx.canvas.moves.rings) > 1:
            for groups, some, part in asked.blocks(len(gradient)):
                share, around = gradient[:, groups, some], prices[:, :, groups, some]
                offers, best = ctx.lay_out(part, both=len(share) == 2), around[0]
                moved = offers.moved(around, share)
                _add(to_rows[:, some], groups, moved[0] - moved[1] if len(share) == 2 else moved[0])
                _add(to_mass, groups, (share.unsqueeze(-1) * offers.worth(best)).sum((0, 2)))
                _add(to_budget, groups, (share * best).sum((0, 2)))
        return to_rows, to_mass, to_budget, None, None, None, None, None


def _add(whole: Tensor, groups: slice, part: Tensor) -> None:
    """Add to the groups of `whole`, or to what all share."""
    if whole.shape[0] == 1:
        whole += part.sum(0, keepdim=True)
    else:
        whole[groups] += part
