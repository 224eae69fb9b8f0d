"""Tightens the interval of a bound site: dual bounds for the units whose relaxation interval arithmetic leaves open.

Skipping the others changes nothing: a unit that interval arithmetic over the *relaxed* layers decides is decided by its
dual bound too, because the dual objective is superadditive in ν (proof in `docs/mathematics.md`, section "Skipping
decided units").
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from autodual.bounds.modes import pushes
from autodual.bounds.push import push_bounds
from autodual.bounds.state import BoundState, is_linear
from autodual.bounds.units import Undecided, UnitRows
from autodual.dual.rows import Rows
from autodual.dual.rule import AffineRule
from autodual.interval import Interval


def refine_operand(state: BoundState, name: str, undecided: Undecided) -> None:
    """Tighten the interval of a nonlinear node's operand: of the node whose scalars it merely moves or repeats."""
    graph, moved = state.graph, []
    while name not in state.regions and isinstance(rule := state.rules[name], AffineRule) and rule.moves:
        moved.append(name)
        (name,) = graph[name].inputs
    if name in state.regions and moved:
        return
    refine(state, name, partial(_undecided_before, state, moved, undecided) if moved else undecided)
    for other in reversed(moved):
        interval = state.layers[other].interval([state.intervals[graph[other].inputs[0]]])
        state.intervals[other] = interval.intersect(state.known[other]) if other in state.known else interval


def _undecided_before(
    state: BoundState, moved: Sequence[str], undecided: Undecided, interval: Interval, samples: slice
) -> Tensor:
    """Where a node leaves open what is asked of the last of `moved`, each of which moves the scalars of the next."""
    for name in reversed(moved):
        interval = state.layers[name].interval([interval])
    mask = undecided(interval, samples)
    rows = Rows(mask.to(interval.lower.dtype).unsqueeze(1), tuple(mask.shape[1:]))
    for name in moved:
        (rows,) = state.layers[name].pull(rows)
    return rows.values[:, 0] > 0


def refine(state: BoundState, name: str, undecided: Undecided) -> None:
    """Replace the interval of a node by dual bounds, where `undecided` (bool `[N, *shape]`) says that it matters."""
    shape = (state.samples, *state.graph[name].shape)
    state.intervals[name] = state.intervals[name].map(lambda end: end.expand(shape))
    wanted = _wanted(state, name, undecided)
    if name in state.refined:
        wanted = wanted & ~state.refined[name]
    state.refined[name] = wanted | state.refined.get(name, wanted)
    if bool(wanted.any()):
        before = state.intervals[name]
        _bound(state, name, undecided, wanted)
        if state.intersects:
            state.intervals[name] = before.tightened(state.intervals[name])
    if name in state.known:
        state.intervals[name] = state.intervals[name].intersect(state.known[name])


def _wanted(state: BoundState, name: str, undecided: Undecided) -> Tensor:
    mask = undecided(state.intervals[name], slice(None))
    return mask if state.skips else torch.ones_like(mask)


def _bound(state: BoundState, name: str, undecided: Undecided, wanted: Tensor) -> None:
    linear = is_linear(state, name)
    if pushes(state, name, wanted, linear):
        state.intervals[name] = push_bounds(state, name)
    elif linear:
        state.intervals[name] = UnitRows(state, name, undecided).both(wanted)
    else:
        _bound_by_sides(state, name, undecided, wanted)


def _bound_by_sides(state: BoundState, name: str, undecided: Undecided, wanted: Tensor) -> None:
    """One row bounds one side only: first the end that is nearer to zero, then the other where that decided nothing.

    Most units are decided by one side, which halves the work and changes no relaxation.
    """
    rows, interval = UnitRows(state, name, undecided), state.intervals[name]
    below = interval.lower.abs() <= interval.upper.abs()
    state.intervals[name] = rows.one_side(wanted, below)
    still = wanted & _wanted(state, name, undecided)
    if bool(still.any()):
        state.intervals[name] = rows.one_side(still, ~below)
