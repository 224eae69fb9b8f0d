"""Bound sites: which node's interval is to be tightened for another's sake, and where intervals are tight already."""

from __future__ import annotations

from autodual.bounds.state import BoundState
from autodual.dual.rule import AffineRule, RelaxationRule


def scalar_by_scalar(state: BoundState, name: str) -> bool:
    """Whether a node is made from one operand scalar by scalar, so that its bounds follow from the operand's."""
    found = state.moved.get(name)
    if found is None:
        found = state.moved[name] = name not in state.regions and _moves(state, name)
    return found


def _moves(state: BoundState, name: str) -> bool:
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
    """Whether interval arithmetic gives a node's dual bounds: one affine map of features that move independently.

    Of an input it does for every set: an enclosure is what the set's own bounds of single features are. Told from the
    graph and its rules alone, so that the answer is the same whenever it is asked.
    """
    if name in state.regions:
        return True
    node = state.graph[name]
    affine = isinstance(state.rules[name], AffineRule) and len(node.inputs) == 1
    return affine and _picks_features(state, node.inputs[0])


def _picks_features(state: BoundState, name: str) -> bool:
    """Whether a node's scalars are features that move independently, none of them twice."""
    if name in state.regions:
        return state.regions[name].independent
    rule = state.rules[name]
    if not (isinstance(rule, AffineRule) and rule.reads_once):
        return False
    (operand,) = state.graph[name].inputs
    return _picks_features(state, operand)
