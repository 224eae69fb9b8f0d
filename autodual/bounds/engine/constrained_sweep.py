"""Bounds inside the network once more, now that all of it is bounded: with every constraint that rows may join.

A constraint may lie behind the units that it tells of: on the output, where a violation of what is to be proved is
assumed. Its rows cross relaxations behind these units, whose intervals a first sweep has to find. Then a row of a unit
starts with the constraint's rows, and its own joins them at its node (`docs/mathematics.md`, "Assumed violations").
"""

from __future__ import annotations

from functools import partial

from autodual.bounds.ascent.unit_search import search_units
from autodual.bounds.engine.refinement import undecided_before
from autodual.bounds.engine.sweep import undecided_units
from autodual.bounds.state.balls import forget_balls, in_balls
from autodual.bounds.state.bound_state import BoundState, uncrossed
from autodual.dual.rule import NonlinearRule
from autodual.ir.graph import Node


def sweep_again(state: BoundState, target: str) -> None:
    """Tighten the intervals of all bound sites before a node that is prepared, and the relaxations over them.

    They hold where the state's constraints do, and nowhere else.
    """
    forget_balls(state)
    before = state.graph.ancestors[target]
    for node in state.graph:
        rule = state.rules.get(node.name)
        if node.name in before and isinstance(rule, NonlinearRule):
            for name in dict.fromkeys(node.inputs):
                _tighten(state, node, rule, name)
            bounds = [state.interval(name) for name in node.inputs]
            layer = rule.layer(node.op, bounds, state.environment, state.options.slopes)
            state.layers[node.name] = in_balls(state, node, layer)
            state.debts.pop(node.name, None)
            state.refresh(node)


def _tighten(state: BoundState, node: Node, rule: NonlinearRule, name: str) -> None:
    """Tighten the interval of a nonlinear node's operand, by that of its bound site."""
    made, site = state.sites.chains[name]
    if site in state.regions and made:
        return
    undecided = partial(undecided_units, node, rule, name)
    search_units(state, site, partial(undecided_before, made, undecided) if made else undecided, joined=True)
    state.intervals[site] = uncrossed(state.note_empty(state.interval(site), site))
    for follower in reversed(made):
        state.refresh(state.graph[follower])
