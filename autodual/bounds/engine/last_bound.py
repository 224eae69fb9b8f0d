"""The last bound: of what is asked of the outputs, or of any node's values, piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from autodual.bounds.ascent.row_search import Lines, joined_lines
from autodual.bounds.ascent.search_result import SearchResult, joined_searches
from autodual.bounds.engine.objective_piece import NOTHING_ELSE, Wish, arrival
from autodual.bounds.projected.projections import Projections
from autodual.bounds.rows.objective_rows import pieces_of
from autodual.bounds.rows.pull import LinearBound
from autodual.bounds.state.bound_state import BoundState, is_linear
from autodual.objective import Objective

# Part of the budget for the coefficients of rows whose bounds are estimated.
_ESTIMATED_SHARE = 8


@dataclass(frozen=True)
class ObjectiveBounds:
    """Lower bounds `[N, S]` of linear functions of one node over the set, and on request what proves them.

    error: the rounding error that `lower` allows for (rigorous computations only).
    linear: linear functions of the inputs that lie below, whose minimum over the set is `lower`.
    lines: slopes and multipliers of the rows, where these are not the layers' own or those that were given.
    search: what a search has found, and what the rows were at its end.
    """

    lower: Tensor
    error: Tensor | None = None
    linear: LinearBound | None = None
    lines: Lines | None = None
    search: SearchResult | None = None


def objective_bounds(state: BoundState, name: str, objective: Objective, wish: Wish = NOTHING_ELSE) -> ObjectiveBounds:
    """Lower bounds over the set of linear functions of a node, in the dtype of the computation."""
    projections = state.memories.get(Projections)
    if projections is not None and projections.objective and is_linear(state, name) and not wish.linear:
        projections.used(torch.ones_like(projections.estimated))
        return _estimated(state, name, objective, projections)
    pieces = pieces_of(state, name, objective)
    arrivals = pieces.results(partial(arrival, name, wish))
    enclosures, whole = [found.enclosure for found in arrivals], pieces.assembled
    lower = whole([part.lower for part in enclosures])
    # A network's outputs are finite, so an infinite lower bound is overflow and not a bound.
    lower = lower.nan_to_num(torch.nan, torch.nan, -torch.inf)
    error = whole([part.error for part in enclosures if part.error is not None]) if state.options.rigorous else None
    functions = [found.linear for found in arrivals if found.linear is not None]
    lines = [found.lines for found in arrivals if found.lines is not None]
    searches = [found.search for found in arrivals if found.search is not None]
    return ObjectiveBounds(
        lower,
        error,
        _whole_linear(functions, whole) if functions else None,
        joined_lines(lines, whole) if lines else None,
        joined_searches(searches, whole) if searches else None,
    )


def _whole_linear(functions: list[LinearBound], whole: Callable[[list[Tensor]], Tensor]) -> LinearBound:
    coefficients = {
        source: whole([part.coefficients[source] for part in functions]) for source in functions[0].coefficients
    }
    return LinearBound(coefficients, whole([part.offset for part in functions]))


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
