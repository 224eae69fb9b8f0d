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

from autodual.bounds.ascent.chosen_lines import under_for_units
from autodual.bounds.ascent.unit_search import search_units
from autodual.bounds.columns.pull_or_push import pushes
from autodual.bounds.columns.push import push_bounds
from autodual.bounds.projected.projections import Projections
from autodual.bounds.rows.early_exits import exits
from autodual.bounds.rows.every_unit import asks_for_every_unit, every_unit, takes_every_unit
from autodual.bounds.rows.unit_rows import Undecided, UnitRows
from autodual.bounds.state.bound_state import BoundState, is_linear
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.dual.rows import Rows
from autodual.interval import Interval


def refine_operand(state: BoundState, name: str, undecided: Undecided) -> None:
    """Tighten the interval of a nonlinear node's operand, by refining the bound site that it follows from.

    The followers in between need no rows of their own: moving and repeating scalars keeps their bounds, and behind a
    function of one scalar a row proves no more than the function's range over the site's bounds.
    """
    made, site = state.sites.chains[name]
    if (site in state.regions and made) or not {name, site}.isdisjoint(state.subproblems.given):
        return
    tighter = refine(state, site, partial(undecided_before, made, undecided) if made else undecided)
    # Only after a change: refreshing a long chain for each of its members costs quadratic time.
    if tighter or state.known:
        for follower in reversed(made):
            state.refresh(state.graph[follower])


def undecided_before(
    made: Sequence[str], undecided: Undecided, state: BoundState, interval: Interval, samples: slice
) -> Tensor:
    """Undecided mask of `made[0]`, mapped back to the site. made: the followers from the operand back to the site."""
    for name in reversed(made):
        interval = _following(state, name, interval)
    mask = undecided(state, interval, samples)
    rows = Rows(mask.to(interval.lower.dtype).unsqueeze(1), tuple(mask.shape[1:]))
    for name in made:
        if not isinstance(state.rules[name], RelaxationRule):
            (rows,) = state.layers[name].pull(rows)
    return rows.values[:, 0] > 0


def _following(state: BoundState, name: str, interval: Interval) -> Interval:
    """A follower's interval, if this were its operand's."""
    rule, op = state.rules[name], state.graph[name].op
    if not isinstance(rule, RelaxationRule):
        return state.layers[name].interval([interval])
    if state.intersects:
        return rule.range(op, [interval], state.environment)
    return rule.layer(op, [interval], state.environment, state.options.slopes).interval([interval])


def refine(state: BoundState, name: str, undecided: Undecided) -> bool:
    """Replace a site's interval by dual bounds where `undecided` (bool `[N, *shape]`) says that it matters.

    Returns whether any unit was bounded.
    """
    shape = (state.samples, *state.graph[name].shape)
    state.intervals[name] = state.interval(name).map(lambda end: end.expand(shape))
    if state.subproblems.partial:
        state.assume(name)  # what is known of the whole spares rows of its parts
    before = state.interval(name)
    if state.sites[name].exact_over(state.regions):
        state.refined[name] = torch.ones_like(before.lower, dtype=torch.bool)
        state.assume(name)
        return False
    done = state.refined.get(name)
    wanted = _wanted(state, name, undecided)
    wanted = wanted if done is None else wanted & ~done
    # A GPU is waited for here, unless all units get rows, and again where each unit's sides are bounded one by one.
    on_host = None if asks_for_every_unit(state, name, is_linear(state, name)) else wanted.cpu()
    bounded = on_host is None or bool(on_host.any())
    if bounded:
        rowed = under_for_units(state, name)
        finished = _bound(rowed, name, undecided, wanted, on_host)
        state.intervals[name] = rowed.intervals[name]
        if state.subproblems.partial:
            state.note_empty(before.intersect(state.interval(name)), name)
        if state.intersects:
            # Units that were not wanted keep their ends. Columns and dense groups bound them too, but whether those are
            # used depends on other units, and no bound may depend on that.
            found = before.tightened(state.interval(name))
            lower = torch.where(wanted, found.lower, before.lower)
            state.intervals[name] = Interval(lower, torch.where(wanted, found.upper, before.upper))
        search_units(rowed, name, undecided, wanted)
        state.intervals[name] = rowed.intervals[name]
        done = finished if done is None else done | finished
    state.refined[name] = torch.zeros_like(wanted) if done is None else done
    state.assume(name)
    return bounded


def _wanted(state: BoundState, name: str, undecided: Undecided) -> Tensor:
    mask = undecided(state, state.interval(name), slice(None))
    return mask if state.skips else torch.ones_like(mask)


def _bound(state: BoundState, name: str, undecided: Undecided, wanted: Tensor, on_host: Tensor | None) -> Tensor:
    """Bound the wanted units, and return the mask of those that have both dual bounds now.

    on_host: the wanted ones, on the CPU; None where all units are to be bounded whatever they are.

    A unit whose row left at an early exit lacks one; another reader of the site may still need it.
    """
    linear = is_linear(state, name)
    projections = state.memories.get(Projections)
    if on_host is None or (projections is None and takes_every_unit(state, name, on_host, linear)):
        found = every_unit(state, name, linear).map(lambda end: end.expand_as(wanted))
        if not linear:
            return _take_by_sides(state, name, undecided, wanted, found)
        state.intervals[name] = found
        return wanted
    if linear and projections is not None:
        return _estimate(state, name, undecided, wanted, projections)
    if pushes(state, name, on_host, linear):
        state.intervals[name] = push_bounds(state, name)
        return wanted
    rows = UnitRows(state, name, undecided)
    if linear:
        state.intervals[name] = rows.both(on_host)
        return wanted & _wanted(state, name, undecided) if exits(state, name) else wanted
    if rows.few(on_host):
        return _take_by_sides(state, name, undecided, wanted, rows.both_sides(on_host))
    return _bound_by_sides(rows, wanted, on_host)


def _estimate(state: BoundState, name: str, undecided: Undecided, wanted: Tensor, projections: Projections) -> Tensor:
    """Estimated bounds for the samples that `projections` chooses, exact ones for the others.

    Estimates are intersected with interval arithmetic, which always holds.
    """
    chosen = projections.chooses(name, wanted)
    estimated = wanted & chosen.reshape(-1, *[1] * (wanted.dim() - 1))
    if bool(chosen.any()):
        present = state.interval(name)
        found = present.tightened(projections.interval(name, estimated))
        lower = torch.where(estimated, found.lower, present.lower)
        state.intervals[name] = Interval(lower, torch.where(estimated, found.upper, present.upper))
        projections.used(chosen)
    exact = (wanted & ~estimated).cpu()
    if bool(exact.any()):
        state.intervals[name] = UnitRows(state, name, undecided).both(exact)
    return wanted


def _bound_by_sides(rows: UnitRows, wanted: Tensor, on_host: Tensor) -> Tensor:
    """Bound first the end that is nearer to zero, then the other one where the unit is still undecided.

    Each row bounds one side only. One side decides most units, which halves the work and changes no relaxation.
    """
    state, name, undecided = rows.state, rows.name, rows.undecided
    below = _nearer_below(state.interval(name))
    state.intervals[name] = rows.one_side(on_host, ~below)
    still = wanted & _wanted(state, name, undecided)
    still_on_host = still.cpu()
    if not bool(still_on_host.any()):
        return still
    state.intervals[name] = rows.one_side(still_on_host, below)
    return still & _wanted(state, name, undecided)


def _take_by_sides(state: BoundState, name: str, undecided: Undecided, wanted: Tensor, found: Interval) -> Tensor:
    """As `_bound_by_sides`, with bounds that were found already: the farther end is used where it would be computed."""
    interval = state.interval(name)
    below = _nearer_below(interval)
    state.intervals[name] = _with_ends(interval, found, wanted & below, wanted & ~below)
    still = wanted & _wanted(state, name, undecided)
    state.intervals[name] = _with_ends(state.interval(name), found, still & ~below, still & below)
    return still & _wanted(state, name, undecided)


def _nearer_below(interval: Interval) -> Tensor:
    """Whether the lower end is nearer to zero than the upper one."""
    return interval.lower.abs() <= interval.upper.abs()


def _with_ends(present: Interval, found: Interval, low: Tensor, high: Tensor) -> Interval:
    """An interval with the lower ends that were found where `low`, and the upper ones where `high`."""
    return Interval(torch.where(low, found.lower, present.lower), torch.where(high, found.upper, present.upper))
