"""The last bound: of what is asked of the outputs, or of any node's values, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from autodual.bounds.engine.chosen_lines import (
    Choices,
    Families,
    each_row,
    families_before,
    given_choices,
    starts,
    under,
)
from autodual.bounds.engine.slope_search import searched
from autodual.bounds.memory.recomputation import recomputed_rows
from autodual.bounds.projected.projections import Projections
from autodual.bounds.rows.attained_ends import attained
from autodual.bounds.rows.constrained import constrain_objective
from autodual.bounds.rows.objective_rows import Piece, pieces_of
from autodual.bounds.rows.pull import Enclosure, LinearBound, Progress, advance, concretise, linear_bound
from autodual.bounds.state.bound_state import BoundState, is_linear
from autodual.objective import Objective

# Part of the budget for the coefficients of rows whose bounds are estimated.
_ESTIMATED_SHARE = 8


@dataclass(frozen=True)
class ObjectiveBounds:
    """Lower bounds `[N, S]` of linear functions of one node over the set, and on request what proves them.

    error: the rounding error that `lower` allows for (rigorous computations only).
    linear: linear functions of the inputs that lie below, whose minimum over the set is `lower`.
    chosen: slopes of the rows, t `[N, S, *shape]` by relaxed node, where these are not the layers' own.
    """

    lower: Tensor
    error: Tensor | None = None
    linear: LinearBound | None = None
    chosen: Mapping[str, Tensor] = field(default_factory=dict)


def objective_bounds(
    state: BoundState, name: str, objective: Objective, *, linear: bool = False, lines: bool = False
) -> ObjectiveBounds:
    """Lower bounds over the set of linear functions of a node, in the dtype of the computation.

    linear: return the linear functions of the inputs that prove them, too; estimates have none. lines: return the
        slopes
    of the rows, too.
    """
    projections = state.memories.get(Projections)
    if projections is not None and projections.objective and is_linear(state, name) and not linear:
        projections.used(torch.ones_like(projections.estimated))
        return _estimated(state, name, objective, projections)
    pieces, arrivals = pieces_of(state, name, objective), []
    for piece in pieces:
        work, rows = partial(_arrival, name, linear, lines), piece.rows
        groups = state.samples if rows.owner is None else rows.owner.shape[0]
        if pieces.chunks.fits(groups * rows.count, groups):
            arrivals.append(work(state, piece))
        else:
            pieces.chunks.spare(groups * rows.count, groups)
            arrivals.append(recomputed_rows(state, work, piece))
    enclosures, whole = [arrival.enclosure for arrival in arrivals], pieces.assembled
    lower = whole([part.lower for part in enclosures])
    # A network's outputs are finite, so an infinite lower bound is overflow and not a bound.
    lower = torch.where(lower == torch.inf, torch.nan, lower)
    error = whole([part.error for part in enclosures if part.error is not None]) if state.options.rigorous else None
    functions = [arrival.linear for arrival in arrivals if arrival.linear is not None]
    chosen = {node: whole([arrival.chosen[node] for arrival in arrivals]) for node in arrivals[0].chosen}
    return ObjectiveBounds(lower, error, _whole_linear(functions, whole) if functions else None, chosen)


def _whole_linear(functions: list[LinearBound], whole: Callable[[list[Tensor]], Tensor]) -> LinearBound:
    coefficients = {
        source: whole([part.coefficients[source] for part in functions]) for source in functions[0].coefficients
    }
    return LinearBound(coefficients, whole([part.offset for part in functions]))


def _tightened(found: Enclosure, other: Enclosure) -> Enclosure:
    """The greater lower bound of the two."""
    greater = ~(found.lower >= other.lower) & ~other.lower.isnan()
    # An interval's ends were widened before, which its error does not show: so the larger error stands for both.
    error = None if found.error is None or other.error is None else found.error.maximum(other.error)
    return Enclosure(torch.where(greater, other.lower, found.lower), found.upper, error)


@dataclass(frozen=True)
class Arrival:
    """Bounds of some of the objective's rows, and on request the functions that prove them and their slopes."""

    enclosure: Enclosure
    linear: LinearBound | None = None
    chosen: Mapping[str, Tensor] = field(default_factory=dict)


def _arrival(name: str, linear: bool, lines: bool, state: BoundState, piece: Piece) -> Arrival:
    start = Progress.start(name, piece.rows, one_sided=True)
    start = constrain_objective(state, start, piece.rows.owner, piece.first, piece.last)
    near = advance(state, start, through=state.is_affine)
    if state.options.last == "interval":
        found = _with_ends(state, near, concretise(state, near))
        return Arrival(found, linear_bound(state, near) if linear else None)
    choices = _choices(state, name, near, piece)
    first = advance(state, near) if choices is None or state.options.slopes == "optimized" else None
    progress = first if choices is None else advance(under(state, *choices), near)
    assert progress is not None
    found = concretise(state, progress)
    chosen = each_row(state, choices[1], piece) if lines and choices is not None else {}
    # The returned function must prove the returned bound, so nothing else may tighten it.
    if linear:
        return Arrival(found, linear_bound(state, progress), chosen)
    # Searched lines are charged for rounding of all that could be chosen, so the layers' own can be better.
    others = ([near] if state.intersects else []) + ([first] if choices is not None and first is not None else [])
    for other in others:
        found = _tightened(found, concretise(state, other))
    return Arrival(_with_ends(state, near, found), None, chosen)


def _choices(state: BoundState, name: str, near: Progress, piece: Piece) -> tuple[Families, Choices] | None:
    """The lines of rows near a node if they are not those of the layers: given ones, or those that a search finds."""
    given, search = given_choices(state, name, piece), state.options.slopes == "optimized"
    families = families_before(state, name) if given or search else {}
    if not families:
        return None
    if search:
        return families, searched(state, name, near, starts(state, families, given, piece))
    return families, given


def _with_ends(state: BoundState, near: Progress, found: Enclosure) -> Enclosure:
    """The better of the bounds and of those by the ends of intervals, which are charged for less rounding."""
    if not (state.options.rigorous and state.intersects) or any(name in state.regions for name in near.pending):
        return found
    return _tightened(found, replace(found, lower=attained(state, near)))


def _estimated(state: BoundState, name: str, objective: Objective, projections: Projections) -> ObjectiveBounds:
    """Estimates of all rows, a few at a time, so that most of the memory is left to the random columns."""
    limit = max(1, state.options.room // _ESTIMATED_SHARE // (state.samples * objective.terms * state.itemsize))
    lowers, errors = [], []
    for first in range(0, objective.count, limit):
        rows = objective.piece(None, first, min(first + limit, objective.count))
        lower, error = projections.lower(name, rows)
        lowers.append(lower)
        errors += [] if error is None else [error]
    return ObjectiveBounds(torch.cat(lowers, 1), torch.cat(errors, 1) if errors else None)
