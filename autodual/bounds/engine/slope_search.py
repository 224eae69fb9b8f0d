"""Slopes that are searched, not chosen: projected gradient ascent on each row's own bound (α-CROWN, Xu et al. 2021).

A search only picks lines of relaxations, and each of them is dual feasible: where it ends costs tightness and never
truth. Rows are searched together, but none sees another.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from autodual.bounds.engine.chosen_lines import Choices, families_before, under
from autodual.bounds.memory.tensor_tree import mapped
from autodual.bounds.rows.pull import Progress, advance, concretise
from autodual.bounds.state.bound_state import BoundState
from autodual.tensors import flat

# Steps of Adam, the first one's length in units of a choice, and by what each is shorter than the one before (measured
# on an MNIST network of 19,000 units: twice as many steps gain less than a hundredth more).
_STEPS, _LENGTH, _DECAY = 40, 0.2, 0.97
_FIRST, _SECOND = 0.9, 0.999


def searched(state: BoundState, name: str, near: Progress, start: Choices) -> Choices:
    """The best t found for each row `near` a node, `[G, K, *shape]` by relaxed node, from `start` on.

    No gradients flow to what is found: at a maximum they are zero to first order.
    """
    plain = state.present()
    plain.options = replace(state.options, rigorous=False)  # a search need not account for rounding
    return _climbed(*mapped((plain, near, start), Tensor.detach), name)


def _climbed(state: BoundState, near: Progress, start: Choices, name: str) -> Choices:
    families = families_before(state, name)
    with torch.enable_grad():
        choices = {name: t.clone().requires_grad_() for name, t in start.items()}
        climbs = {name: _Climb(choice) for name, choice in choices.items()}
        best = torch.full_like(flat(next(iter(start.values())), 2)[..., 0], -torch.inf)
        for step in range(_STEPS + 1):
            lower = concretise(state, advance(under(state, families, choices), near)).lower
            better = lower.detach() > best
            best = torch.where(better, lower.detach(), best)
            for climb in climbs.values():
                climb.note(better)
            if step == _STEPS:
                break
            slopes = torch.autograd.grad(lower.sum(), list(choices.values()))
            for climb, slope in zip(climbs.values(), slopes):
                climb.step(slope, step)
    return {name: climb.best for name, climb in climbs.items()}


class _Climb:
    """Adam (Kingma and Ba 2015) uphill within [0, 1], and the best place seen; all elementwise."""

    def __init__(self, choice: Tensor):
        self.choice = choice
        self.best = choice.detach().clone()
        self.mean = torch.zeros_like(choice)
        self.square = torch.zeros_like(choice)

    def note(self, better: Tensor) -> None:
        """Keep the choices of the rows `[G, K]` that are better than ever."""
        here = self.choice.detach()
        self.best = torch.where(better.reshape(*better.shape, *[1] * (here.dim() - 2)), here, self.best)

    @torch.no_grad()
    def step(self, slope: Tensor, number: int) -> None:
        """One step of ascent along a gradient; entries that are no numbers do not move."""
        slope = slope.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        self.mean.lerp_(slope, 1 - _FIRST)
        self.square.lerp_(slope.square(), 1 - _SECOND)
        mean = self.mean / (1 - _FIRST ** (number + 1))
        size = (self.square / (1 - _SECOND ** (number + 1))).sqrt()
        length = _LENGTH * _DECAY**number
        self.choice.addcdiv_(mean, size.clamp(min=torch.finfo(size.dtype).tiny), value=length).clamp_(0, 1)
