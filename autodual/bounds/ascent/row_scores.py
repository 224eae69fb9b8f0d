"""What units of relaxed nodes matter to rows: how much their splits and the ends of their intervals may gain.

All in units of the bound, to first order, from the rows and adjoint values of one way (`docs/mathematics.md`,
"Searched slopes").
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from autodual.bounds.ascent.adjoint import Way
from autodual.bounds.state.balls import family_of
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.family import FamilyLayer
from autodual.dual.rule import NonlinearRule
from autodual.interval import Interval
from autodual.ir.graph import Node


def intercepts(state: BoundState, found: Way) -> dict[str, Tensor]:
    """|ν| times the distance between the function and the line that the row meets at the point of a split, `[G, K,
    *shape]`, by relaxed node of one operand. Of a ReLU's row below zero that is what its chord pays.
    """
    return {
        node.name: _intercepts(state, node, found)
        for node in _relaxed(state, found)
        if len(node.inputs) == 1 and state.graph[node.inputs[0]].shape == node.shape
    }


def _intercepts(state: BoundState, node: Node, found: Way) -> Tensor:
    bounds, rows = state.interval(node.inputs[0]), found.rows[node.name]
    crossing = (bounds.lower < 0) & (bounds.upper > 0)
    split = torch.where(crossing, torch.zeros_like(bounds.lower), bounds.centre)
    value = rows.features(node.op.forward([split], state.environment))
    points = rows.features(split).expand(found.points[node.inputs[0]].shape)
    gap = (state.layers[node.name].along(rows, [points]) - value).abs()
    return torch.where(rows.features(bounds.lower == bounds.upper), 0.0, gap * rows.values.abs())


def by_ends(state: BoundState, found: Way, choices: Mapping[str, Tensor]) -> dict[str, Interval]:
    """The bound's gradient by both ends of each operand of relaxed nodes, `[G, K, *shape]`: through the lines alone,
    with adjoint values as they are.
    """
    total: dict[str, Interval] = {}
    for node in _relaxed(state, found):
        for name, ends in _by_ends(state, node, found, choices.get(node.name)).items():
            before = total.get(name)
            total[name] = ends if before is None else Interval(before.lower + ends.lower, before.upper + ends.upper)
    return total


def _by_ends(state: BoundState, node: Node, found: Way, choice: Tensor | None) -> dict[str, Interval]:
    """By operand of one node. Each row has intervals of its own here, so that one pass gives every row's gradient."""
    rule, rows = state.rules[node.name], found.rows[node.name]
    assert isinstance(rule, NonlinearRule)
    count = found.lower.shape
    own = []
    for name in node.inputs:
        ends = state.interval(name).map(lambda end: rows.features(end).expand(*count, *end.shape[1:]).flatten(0, 1))
        own.append(ends.map(lambda end: end.detach().clone().requires_grad_()))
    with torch.enable_grad():
        flat = rows.with_values(rows.values.detach().expand(*count, *rows.shape).flatten(0, 1).unsqueeze(1), owner=None)
        layer = rule.layer(node.op, own, state.environment, state.options.slopes)
        family = family_of(state, node, own)
        if choice is not None and family is not None:
            layer = FamilyLayer(family, choice.expand(*count, *rows.shape).flatten(0, 1).unsqueeze(1))
        points = [found.points[name].flatten(0, 1).unsqueeze(1) for name in node.inputs]
        leaves = [end for interval in own for end in (interval.lower, interval.upper)]
        gradients = torch.autograd.grad(layer.total(flat, points).sum(), leaves, allow_unused=True)
    filled = [torch.zeros_like(leaf) if one is None else one for leaf, one in zip(leaves, gradients)]
    parts = [part.unflatten(0, count) for part in filled]
    return {name: Interval(*parts[2 * place : 2 * place + 2]) for place, name in enumerate(node.inputs)}


def _relaxed(state: BoundState, found: Way) -> list[Node]:
    return [
        node
        for node in state.graph
        if node.name in found.rows and isinstance(state.rules.get(node.name), NonlinearRule)
    ]
