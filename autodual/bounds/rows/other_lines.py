"""Other lines beside adaptive ones: which of them are better for a row depends on the row.

Adaptive lines enclose the least area for each unit by itself. A row of many units sees how they act together, where
parallel lines may lose less: they err alike above and below. An op may know of more, as a maximum does.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import ClassVar

from autodual.bounds.state.balls import in_balls
from autodual.bounds.state.bound_state import BoundState, is_linear
from autodual.dual.layer import DualLayer
from autodual.dual.relaxation import RelaxedLayer
from autodual.dual.relaxation_rule import RelaxationRule


class _OtherLayers:
    """By node, the layers of its other lines. Intervals before a node do not change any more once it is asked for."""

    lasting: ClassVar[bool] = False

    def __init__(self) -> None:
        self.of: dict[str, tuple[DualLayer, ...]] = {}


def under_other_lines(state: BoundState, name: str) -> Iterator[BoundState]:
    """The state with the first other lines at every relaxed node before `name` that has some, then with the second
    ones, and so on, over the same intervals; nothing where all lines are parallel.
    """
    if is_linear(state, name):
        return
    found = {other: _others(state, other) for other in state.layers if other in state.graph.ancestors[name]}
    for number in count():
        changed = {other: layers[number] for other, layers in found.items() if len(layers) > number}
        if not changed:
            return
        chosen = state.present()
        chosen.ledger = state.ledger
        for other, layer in changed.items():
            chosen.layers[other] = layer
            chosen.debts.pop(other, None)
        yield chosen


def _others(state: BoundState, name: str) -> tuple[DualLayer, ...]:
    """The layers of a node's other lines."""
    rule, known = state.rules[name], state.memories.of(_OtherLayers).of
    if not isinstance(rule, RelaxationRule) or state.layers[name].linear:
        return ()
    if name not in known:
        node = state.graph[name]
        bounds = [state.interval(operand) for operand in node.inputs]
        others = rule.others(node.op, bounds, state.environment)
        known[name] = tuple(in_balls(state, node, RelaxedLayer(lines)) for lines in others)
    return known[name]
