"""Halves of inputs: a part's box is cut in the middle of one of its features, which tightens every interval behind."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from autodual.bounds.columns.push import push_through
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.relaxation import RelaxedLayer
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.dual.rule import AffineRule
from autodual.search.actions import Action, best_of
from autodual.search.part_batch import Choice, Parts, with_interval
from autodual.search.part_bounds import Bounded
from autodual.search.unit_gains import width_gains
from autodual.tensors import flat


class InputHalves(Action):
    """Halves the feature whose width reaches the relaxations that cost the bound most.

    The score of feature i is Σ_k w_k |A_ki| r_i: w_k is what the bound gains for each bit by which unit k's interval is
    shorter, A is the network with a chord in place of every nonlinear op, r_i half the feature's width.
    """

    name = "input"
    boxes = True

    def score(self, bounded: Bounded) -> Choice:
        (source,) = self.plan.graph.inputs
        box = bounded.parts.intervals[source]
        width = flat(box.upper - box.lower)
        middle = flat(box.lower) + width / 2
        divisible = (middle > flat(box.lower)) & (middle < flat(box.upper))
        gains = (self._sensitivity(bounded, source).double() * width / 2).nan_to_num(0.0, 0.0, 0.0)
        # Where no unit's interval matters, the function's own slopes and widths say what is worth halving.
        smear = width if bounded.functions is None else bounded.functions.slope.abs().sum(1) * width
        useless = ~(torch.where(divisible, gains, 0.0) > 0).any(1, keepdim=True)
        tiny = torch.finfo(torch.float32).tiny
        spare = torch.where((smear > 0).any(1, keepdim=True), smear, width) * tiny
        return best_of(torch.where(divisible, torch.where(useless, spare, gains), 0.0), middle)

    def _sensitivity(self, bounded: Bounded, source: str) -> Tensor:
        """Σ_k w_k |A_ki|, `[M, D]`."""
        state, count = bounded.state, bounded.parts.count
        columns = _chord_columns(state, source)
        total = bounded.error.new_zeros(count, state.graph[source].size).to(state.environment.dtype)
        for name, gain in width_gains(state, bounded.rows):
            if name not in columns:
                continue
            reach = flat(columns[name].abs(), 2).expand(-1, count, -1)
            total = total + torch.einsum("dmu,mu->md", reach, flat(gain))
        return total

    def children(self, parts: Parts, choice: Choice) -> tuple[Parts, Parts]:
        (source,) = self.plan.graph.inputs
        infinity = torch.full_like(choice.point, torch.inf)
        below = with_interval(parts, source, choice.unit, -infinity, choice.point)
        above = with_interval(parts, source, choice.unit, choice.point, infinity)
        stale = torch.ones_like(parts.stale)
        return replace(below, stale=stale), replace(above, stale=stale)


def _chord_columns(state: BoundState, source: str) -> dict[str, Tensor]:
    """By node `[D, M or 1, *shape]`: how the network with chords in place of its nonlinear ops moves with each of the
    D features; only what is made of affine ops and of elementwise ones with one operand.
    """
    dtype, size = state.environment.dtype, state.graph[source].size
    identity = torch.eye(size, dtype=dtype, device=state.environment.device)
    found = {source: identity.reshape(size, 1, *state.graph[source].shape)}
    for node in state.graph:
        rule = state.rules.get(node.name)
        if node.name not in state.layers or not any(name in found for name in node.inputs):
            continue
        operands = [found.get(name) for name in node.inputs]
        if isinstance(rule, AffineRule):
            found[node.name] = push_through(state.layers[node.name], operands)
        elif isinstance(rule, RelaxationRule) and len(operands) == 1:
            bounds = [state.interval(name) for name in node.inputs]
            chord = RelaxedLayer(rule.parallel(node.op, bounds, state.environment))
            found[node.name] = push_through(chord, operands)
    return found
