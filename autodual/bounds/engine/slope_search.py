"""Slopes that are searched, not chosen: projected gradient ascent on each row's own bound (α-CROWN, Xu et al. 2021).

What is searched are only lines of relaxations, each of which is dual feasible wherever the search ends: a bad search
costs tightness and never truth. Rows are searched together, but none sees another.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from autodual.bounds.memory.tensor_tree import mapped
from autodual.bounds.rows.pull import Progress, advance, concretise
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.family import FamilyLayer, LineFamily
from autodual.dual.rule import NonlinearRule

# Steps of Adam, the first one's length in units of a choice, and by what each is shorter than the one before (measured
# on an MNIST network of 19,000 units: twice as many steps gain less than a hundredth more).
_STEPS, _LENGTH, _DECAY = 40, 0.2, 0.97
_FIRST, _SECOND = 0.9, 0.999


Families = dict[str, LineFamily]
Choices = dict[str, Tensor]


def searched(state: BoundState, name: str, near: Progress) -> Progress | None:
    """Rows `near` a node pulled to the inputs under the best lines found for each; None where nothing is to choose.

    Gradients of the result flow as if the lines were constants, which at a maximum they are to first order.
    """
    families = _families(state, name)
    if not families:
        return None
    plain = state.present()
    plain.options = replace(state.options, rigorous=False)  # a search need not account for rounding
    choices = _choices(*mapped((plain, near), Tensor.detach), name)
    return advance(_under(state, families, choices), near)


def _families(state: BoundState, name: str) -> Families:
    """What can be chosen at each relaxed node before a node, where any unit is undecided."""
    found: Families = {}
    for node in state.graph:
        rule = state.rules.get(node.name)
        if node.name not in state.graph.ancestors[name] or not isinstance(rule, NonlinearRule):
            continue
        bounds = [state.interval(operand) for operand in node.inputs]
        masks = rule.undecided(node.op, bounds, state.environment)
        family = rule.family(node.op, bounds, state.environment)
        if family is not None and any(bool(mask.any()) for mask in ([masks] if isinstance(masks, Tensor) else masks)):
            found[node.name] = family
    return found


def _under(state: BoundState, families: Families, choices: Choices) -> BoundState:
    """The state with these lines chosen, whose rounding costs what that of all lines may."""
    chosen = state.present()
    for name, choice in choices.items():
        layer, node = FamilyLayer(families[name], choice), state.graph[name]
        chosen.layers[name] = layer
        if state.options.rigorous:
            chosen.debts[name] = state.debt_under(node, layer)
    return chosen


def _choices(state: BoundState, near: Progress, name: str) -> Choices:
    """The best lines found for each row, `[G, K, *shape]` by node, from the adaptive ones on."""
    families, (groups, count) = _families(state, name), _size(state, near)
    with torch.enable_grad():
        choices = {
            name: near.centre.new_zeros(groups, count, *state.graph[name].shape).requires_grad_() for name in families
        }
        climbs = {name: _Climb(choice) for name, choice in choices.items()}
        best = near.centre.new_full((groups, count), -torch.inf)
        for step in range(_STEPS + 1):
            lower = concretise(state, advance(_under(state, families, choices), near)).lower
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


def _size(state: BoundState, near: Progress) -> tuple[int, int]:
    """G and K of rows."""
    rows = next(iter(near.pending.values()))
    return state.samples if rows.owner is None else rows.owner.shape[0], rows.count


class _Climb:
    """Adam (Kingma and Ba 2015) uphill within [0, 1], and the best place seen; all elementwise."""

    def __init__(self, choice: Tensor):
        self.choice = choice
        self.best = torch.zeros_like(choice)
        self.mean = torch.zeros_like(choice)
        self.square = torch.zeros_like(choice)

    def note(self, better: Tensor) -> None:
        """Keep the choices of the rows `[G, K]` that are better than ever."""
        here = self.choice.detach()
        self.best = torch.where(better.reshape(*better.shape, *[1] * (here.dim() - 2)), here, self.best)

    @torch.no_grad()
    def step(self, slope: Tensor, number: int) -> None:
        slope = slope.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        self.mean.lerp_(slope, 1 - _FIRST)
        self.square.lerp_(slope.square(), 1 - _SECOND)
        mean = self.mean / (1 - _FIRST ** (number + 1))
        size = (self.square / (1 - _SECOND ** (number + 1))).sqrt()
        length = _LENGTH * _DECAY**number
        self.choice.addcdiv_(mean, size.clamp(min=torch.finfo(size.dtype).tiny), value=length).clamp_(0, 1)
