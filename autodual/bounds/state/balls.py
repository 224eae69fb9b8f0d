"""Euclidean balls around nodes' values: that of the set, carried through the network by norms and Lipschitz constants.

A ball holds what the network's nodes can be in exact arithmetic, around values that were computed. Its radius pays for
their rounding, in rigorous computations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from autodual.bounds.state.bound_state import BoundState
from autodual.dual.ball import Ball
from autodual.dual.family import LineFamily
from autodual.dual.layer import DualLayer
from autodual.dual.rule import NonlinearRule
from autodual.interval import Interval
from autodual.ir.graph import Node
from autodual.tensors import flat


class _Balls:
    """By node, the ball that was found for it. Intervals before a node do not change any more once it is asked for."""

    lasting: ClassVar[bool] = True

    def __init__(self) -> None:
        self.of: dict[str, Ball] = {}


def in_balls(state: BoundState, node: Node, layer: DualLayer) -> DualLayer:
    """A nonlinear node's layer, where balls hold its operands, if they are asked for."""
    rule = state.rules[node.name]
    if not state.options.balls:
        return layer
    assert isinstance(rule, NonlinearRule)
    bounds, balls = [state.interval(name) for name in node.inputs], [ball(state, name) for name in node.inputs]
    slack = state.error_factor(node.size) if state.options.rigorous else 0.0
    return rule.in_ball(node.op, bounds, state.environment, layer, balls, slack)


def family_of(state: BoundState, node: Node, bounds: Sequence[Interval]) -> LineFamily | None:
    """The lines that can be chosen at a nonlinear node, over bounds of its operands."""
    rule = state.rules[node.name]
    assert isinstance(rule, NonlinearRule)
    family = rule.family_in_ball if state.options.balls else rule.family
    return family(node.op, bounds, state.environment)


def ball(state: BoundState, name: str) -> Ball:
    """The ball of a node's values; its radius is in float64."""
    known = state.memories.of(_Balls).of
    for node in state.graph:
        if node.name not in known and (node.name == name or node.name in state.graph.ancestors[name]):
            known[node.name] = _inside(state.interval(node.name), _ball(state, node, known))
    return known[name]


def _ball(state: BoundState, node: Node, known: dict[str, Ball]) -> Ball:
    if node.name in state.regions:
        region = state.regions[node.name]
        reach = region.reach().double() + _length(region.rounding())
        return Ball(state.subproblems.of_samples(region.centre), state.subproblems.of_samples(reach))
    operands = [known[name] for name in node.inputs]
    if state.is_affine(node.name):
        layer = state.layers[node.name]
        norms = layer.norms([_moving(state.interval(name)) for name in node.inputs])
        centre = layer.constant([one.centre for one in operands])
        radius = sum((_times(norm, one.radius) for norm, one in zip(norms, operands)), centre.new_zeros(1).double())
        return Ball(centre, _up(radius + 2 * _rounding(state, node)))
    return _through(state, node, operands)


def _through(state: BoundState, node: Node, operands: list[Ball]) -> Ball:
    """The ball behind a nonlinear node."""
    rule = state.rules[node.name]
    assert isinstance(rule, NonlinearRule)
    points = [Interval(one.centre, one.centre) for one in operands]
    values = rule.range(node.op, points, state.environment)
    steepness = rule.steepness(node.op, [state.interval(name) for name in node.inputs], state.environment)
    if steepness is None or len(operands) > 1:
        return Ball(values.centre, torch.full_like(operands[0].radius, torch.inf))
    radius = _times(steepness.double(), operands[0].radius)
    if not rule.exact:
        radius = radius + _length(values.upper.double() - values.lower.double()) + 2 * _rounding(state, node)
    return Ball(values.centre, _up(radius))


def _inside(interval: Interval, found: Ball) -> Ball:
    """The ball with its centre moved into the interval, which brings it nearer to all that lies there, or the ball
    around the interval if that is smaller.
    """
    centre = found.centre.maximum(interval.lower).minimum(interval.upper)
    low, high, middle = interval.lower.double(), interval.upper.double(), centre.double()
    furthest = (high - middle).maximum(middle - low)
    return Ball(centre, found.radius.fmin(_up(_length(furthest))))


def _moving(interval: Interval) -> Tensor:
    """Where a node's value can change at all."""
    return ~(interval.lower == interval.upper)


def _rounding(state: BoundState, node: Node) -> Tensor:
    """How far, in the Euclidean norm, rounding moves a node's value, `[B or 1]`."""
    if not state.options.rigorous:
        return torch.zeros(1, dtype=torch.float64, device=state.environment.device)
    debt = state.debt(node.name)
    return _length(debt.magnitude) + node.size**0.5 * debt.floor.double()


def _length(values: Tensor) -> Tensor:
    """The Euclidean norm of each sample, `[N]`, float64, rounded up."""
    values = values.double()
    norms = torch.linalg.vector_norm(flat(values), dim=1)
    return norms * (1 + (values[0].numel() + 16) * torch.finfo(values.dtype).eps)


def _times(norm: Tensor, radius: Tensor) -> Tensor:
    """Their product; 0 where either is zero, though the other be infinite."""
    return torch.where((norm == 0) | (radius == 0), 0.0, norm * radius)


def _up(radius: Tensor) -> Tensor:
    """A radius, rounded up once more for the sums and products that made it."""
    return radius * (1 + 64 * torch.finfo(radius.dtype).eps)
