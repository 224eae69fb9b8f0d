"""The forward sweep: intervals layer by layer, refined by dual bounds where a relaxation needs them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor

from autodual.bounds.engine.refinement import refine_operand
from autodual.bounds.state.balls import in_balls
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.rule import AffineRule, NonlinearRule
from autodual.interval import Interval
from autodual.ir.graph import Node


def prepare(state: BoundState, targets: Iterable[str], *, sparing: bool = False) -> None:
    """Compute the layers and intervals of all nodes before the targets, and before what constrains the objective.

    sparing: forget intervals as soon as all nodes that read them are there. Rows of a target may still end where they
        meet a nonlinear node or an input first, and nothing else may be asked for.
    """
    targets = tuple(targets)
    constrained = (name for one in state.constraints if one.multiplier is not None for name in one.nodes)
    needed = frozenset().union(*(state.graph.ancestors[name] for name in (*targets, *constrained)))
    unread = _last_reads(state, targets, needed) if sparing else {}
    for node in state.graph:
        if node.name not in needed or node.name in state.intervals or node.name in state.layers:
            continue
        if node.name in state.regions:
            state.add_input(node)
        else:
            _add(state, node)
        for name in unread.get(node.name, ()):
            del state.intervals[name]


def _last_reads(state: BoundState, targets: Sequence[str], needed: frozenset[str]) -> dict[str, list[str]]:
    """By node, the intervals that it is the last to read. Not those where rows of the targets may end."""
    ends, waiting = set(targets), list(targets)
    while waiting:
        name = waiting.pop()
        if name not in state.regions and state.is_affine(name):
            waiting += [operand for operand in state.graph[name].inputs if operand not in ends]
            ends.update(state.graph[name].inputs)
    found: dict[str, list[str]] = {}
    for name in needed - ends:
        last = max((user for user in state.graph.users[name] if user in needed), key=state.graph.positions.__getitem__)
        found.setdefault(last, []).append(name)
    return found


def _add(state: BoundState, node: Node) -> None:
    rule = state.rules[node.name]
    if isinstance(rule, AffineRule):
        state.add_layer(node, rule.layer(node, state.graph.input_shapes(node), state.environment))
        return
    for name in dict.fromkeys(node.inputs) if state.options.inner == "dual" else ():
        refine_operand(state, name, partial(undecided_units, node, rule, name))
    bounds = [state.interval(name) for name in node.inputs]
    if not state.options.relaxes:
        state.add_range(node, rule.range(node.op, bounds, state.environment))
        return
    layer = rule.layer(node.op, bounds, state.environment, state.options.slopes)
    state.add_layer(node, in_balls(state, node, layer))


def undecided_units(
    node: Node, rule: NonlinearRule, name: str, state: BoundState, interval: Interval, samples: slice
) -> Tensor:
    """Mask of the units of operand `name` whose bounds still matter to the node's relaxation, if `interval` were
    theirs.
    """
    others = {other: _of_samples(state.interval(other), samples) for other in node.inputs if other != name}
    masks = rule.undecided(node.op, [others.get(other, interval) for other in node.inputs], state.environment)
    if isinstance(masks, Tensor):
        return masks
    own = [mask for mask, operand in zip(masks, node.inputs) if operand == name]
    return torch.stack(own).any(0)


def _of_samples(interval: Interval, samples: slice) -> Interval:
    """Some of the samples' part of an interval; constants `[1, *shape]` are the same for all."""
    return interval if interval.shape[0] == 1 else interval.map(lambda end: end[samples])
