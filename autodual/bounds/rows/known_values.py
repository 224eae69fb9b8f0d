"""Rows that end at one op which knows of its values together, as a softmax knows that its entries sum to one."""

from __future__ import annotations

import torch

from autodual.bounds.rows.pull import Enclosure, Progress, advance, concretise
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.layer import DualLayer


def bounded(state: BoundState, progress: Progress) -> Enclosure:
    """Bounds of rows by pulling them to the inputs, or by what the first op that they meet knows, if that is better."""
    if not any(_knows(layer) for layer in state.layers.values()):
        return concretise(state, advance(state, progress))
    near = advance(state, progress, through=state.is_affine)
    return with_least(state, near, concretise(state, advance(state, near)))


def with_least(state: BoundState, near: Progress, found: Enclosure) -> Enclosure:
    """The better of the bounds and of what one op, where all rows wait, knows of its values together."""
    if len(near.pending) != 1:
        return found
    ((name, rows),) = near.pending.items()
    if name not in state.layers:
        return found
    least = state.layers[name].least(rows.dense())
    if least is None:
        return found
    ending = near.pay(state.debt(name), rows) if state.options.rigorous else near
    lower = ending.centre + least
    for cost in (ending.width, ending.error):
        lower = lower if cost is None else lower - cost
    return tightened(found, Enclosure(lower, found.upper, ending.error))


def tightened(found: Enclosure, other: Enclosure) -> Enclosure:
    """The greater lower bound of the two."""
    greater = ~(found.lower >= other.lower) & ~other.lower.isnan()
    # An interval's ends were widened before, which its error does not show: so the larger error stands for both.
    error = None if found.error is None or other.error is None else found.error.maximum(other.error)
    return Enclosure(torch.where(greater, other.lower, found.lower), found.upper, error)


def meets_known_values(state: BoundState, name: str) -> bool:
    """Whether rows of a node meet an op that knows of its values, behind affine ones alone."""
    waiting = [name]
    while waiting:
        node = state.graph[waiting.pop()]
        if node.name in state.layers and _knows(state.layers[node.name]):
            return True
        if node.name in state.layers and state.is_affine(node.name):
            waiting += node.inputs
    return False


def _knows(layer: DualLayer) -> bool:
    return type(layer).least is not DualLayer.least
