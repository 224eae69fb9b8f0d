"""Bound sites: which node's interval is to be tightened for another's sake, and where intervals are tight already."""

from __future__ import annotations

from autodual.bounds.state import BoundState
from autodual.dual.rule import AffineRule, RelaxationRule


def scalar_by_scalar(state: BoundState, name: str) -> bool:
    """Whether a node is made from one operand scalar by scalar, so that its bounds follow from the operand's."""
    if name in state.regions:
        return False
    rule = state.rules[name]
    if isinstance(rule, RelaxationRule):
        return len(state.graph[name].inputs) == 1
    return isinstance(rule, AffineRule) and rule.moves


def followers(state: BoundState, name: str) -> tuple[list[str], str]:
    """The nodes from `name` back that are made scalar by scalar, and the node before them, which is the site."""
    found = []
    while scalar_by_scalar(state, name):
        found.append(name)
        (name,) = state.graph[name].inputs
    return found, name


def exact_by_intervals(state: BoundState, name: str) -> bool:
    """Whether interval arithmetic gives a node's dual bounds: one affine map of features that move independently."""
    if name in state.regions:
        return state.regions[name].independent
    node = state.graph[name]
    affine = isinstance(state.rules[name], AffineRule) and name in state.layers
    return affine and len(node.inputs) == 1 and _picks_features(state, node.inputs[0])


def _picks_features(state: BoundState, name: str) -> bool:
    """Whether a node's scalars are features that move independently, none of them twice."""
    if name in state.regions:
        return state.regions[name].independent
    rule = state.rules[name]
    if not (isinstance(rule, AffineRule) and rule.moves and name in state.layers):
        return False
    (operand,) = state.graph[name].inputs
    # A row that is pulled through adds nothing up, so nobody reads a scalar of the operand twice.
    return state.layers[name].terms == 1 and _picks_features(state, operand)
