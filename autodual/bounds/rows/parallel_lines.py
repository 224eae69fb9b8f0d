"""Parallel lines beside adaptive ones: which of the two is better for a row depends on the row.

Adaptive lines enclose the least area for each unit by itself. A row of many units sees how they act together, where
parallel lines may lose less: they err alike above and below.
"""

from __future__ import annotations

from typing import ClassVar

from autodual.bounds.state.balls import in_balls
from autodual.bounds.state.bound_state import BoundState, is_linear
from autodual.dual.layer import DualLayer
from autodual.dual.relaxation_rule import RelaxationRule


class _ParallelLayers:
    """By node, the layer of its parallel lines. Intervals before a node do not change any more once it is asked for."""

    lasting: ClassVar[bool] = False

    def __init__(self) -> None:
        self.of: dict[str, DualLayer] = {}


def under_parallel_lines(state: BoundState, name: str) -> BoundState | None:
    """The state with parallel lines at every relaxed node before `name`, over the same intervals; None where the lines
    are parallel already.
    """
    if is_linear(state, name):
        return None
    found = state.memories.of(_ParallelLayers).of
    chosen = state.present()
    chosen.ledger = state.ledger
    for other in state.graph.ancestors[name]:
        rule = state.rules.get(other)
        if other not in state.layers or not isinstance(rule, RelaxationRule) or state.layers[other].linear:
            continue
        node = state.graph[other]
        if other not in found:
            bounds = [state.interval(operand) for operand in node.inputs]
            found[other] = in_balls(state, node, rule.layer(node.op, bounds, state.environment, "shared"))
        chosen.layers[other] = found[other]
        chosen.debts.pop(other, None)
    return chosen
