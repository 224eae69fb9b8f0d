"""Bounds of one piece of the objective's rows: with the layers' own lines, with given ones, or with searched ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autodual.bounds.ascent.adjoint import ahead
from autodual.bounds.ascent.chosen_lines import Families, families_before, given_choices, starts, under
from autodual.bounds.ascent.row_search import Done, Lines, Task, above, searched
from autodual.bounds.ascent.search_result import SearchResult, search_result
from autodual.bounds.rows.attained_ends import attained
from autodual.bounds.rows.constrained import join_constraints
from autodual.bounds.rows.known_values import tightened, with_least
from autodual.bounds.rows.objective_rows import Piece
from autodual.bounds.rows.other_lines import under_other_lines
from autodual.bounds.rows.pull import Enclosure, LinearBound, Progress, advance, concretise, linear_bound
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.rows import Rows


@dataclass(frozen=True)
class Wish:
    """What to return beside bounds.

    linear: the linear functions of the inputs that prove them; estimates have none. lines: the slopes and multipliers
    of the rows, where they are not the layers' own. search: a `SearchResult`. others: the best of these bounds and of
    those by other lines that ops have.
    """

    linear: bool = False
    lines: bool = False
    search: bool = False
    others: bool = False


NOTHING_ELSE = Wish()


@dataclass(frozen=True)
class Arrival:
    """Bounds of some of the objective's rows, and what was wished for beside them."""

    enclosure: Enclosure
    linear: LinearBound | None = None
    lines: Lines | None = None
    search: SearchResult | None = None


def arrival(name: str, wish: Wish, state: BoundState, piece: Piece) -> Arrival:
    """The bounds of a piece of the rows of a node."""
    start, owner = Progress.start(name, piece.rows, one_sided=True), piece.rows.owner
    passed: dict[str, Rows] | None = {} if wish.search else None
    given = tuple(one.for_objective(owner, piece.first, piece.last) for one in state.constraints)
    near = _near(state, join_constraints(state, start, given, owner), passed)
    if state.options.last == "interval":
        found = _with_ends(state, near, concretise(state, near))
        return Arrival(found, linear_bound(state, near) if wish.linear else None)
    families, lines = _given_lines(state, name, piece, given)
    others = [near] if state.intersects else []
    if state.options.slopes == "optimized" and (families or any(one is not None for one in given)):
        # Searched lines are charged for rounding of all that could be chosen, so the layers' own can be better.
        others.append(advance(state, near))
        task = Task(state, start, owner, families, _enough(state, concretise(state, others[-1])))
        lines = searched(task, lines, state.options.steps)
        near = _near(state, join_constraints(state, start, lines.multipliers, owner), passed)
    others += _by_other_lines(state, name, near, lines, wish)
    there = under(state, families, lines.choices)
    progress = advance(there, near, passed=passed)
    found = concretise(state, progress)
    function = linear_bound(state, progress) if wish.linear else None
    if function is None:  # it must prove the returned bound, so nothing else may tighten that
        for other in others:
            found = tightened(found, concretise(state, other))
            found = with_least(state, other, found)
        found = _with_ends(state, near, found)
    lines = lines.each_row(*found.lower.shape)
    result = None if passed is None else search_result(there, lines, ahead(there, progress, passed))
    return Arrival(found, function, lines if wish.lines else None, result)


def _near(state: BoundState, progress: Progress, passed: dict[str, Rows] | None) -> Progress:
    """The rows behind the last affine nodes."""
    return advance(state, progress, through=state.is_affine, passed=passed)


def _by_other_lines(state: BoundState, name: str, near: Progress, lines: Lines, wish: Wish) -> list[Progress]:
    """The rows pulled by other lines, unless a caller chose lines or something has to prove bounds by itself."""
    slopes = state.options.slopes
    if not wish.others or slopes == "shared" or wish.lines or wish.linear or (lines.choices and slopes == "adaptive"):
        return []
    return [advance(one, near) for one in under_other_lines(state, name)]


def _given_lines(
    state: BoundState, name: str, piece: Piece, multipliers: tuple[Tensor | None, ...]
) -> tuple[Families, Lines]:
    """What can be chosen for rows of a node, and what a caller chose; a search begins there."""
    choices, searches = given_choices(state, name, piece), state.options.slopes == "optimized"
    if not (choices or searches):
        return {}, Lines({}, multipliers)
    constrained = {node for one in state.constraints if one.multiplier is not None for node in one.nodes}
    families = families_before(state, name, *constrained)
    return families, Lines(starts(state, families, choices, piece.rows.owner) if searches else choices, multipliers)


def _enough(state: BoundState, found: Enclosure) -> Done | None:
    """Whether bounds are good enough, with room for rounding that a search does not see."""
    if state.options.enough is None:
        return None
    enough = torch.full_like(found.lower[:1, :1], state.options.enough)
    return above(enough if found.error is None else enough + 2 * found.error)


def _with_ends(state: BoundState, near: Progress, found: Enclosure) -> Enclosure:
    """The better of the bounds and of those by the ends of intervals, which are charged for less rounding."""
    if not (state.options.rigorous and state.intersects) or any(name in state.regions for name in near.pending):
        return found
    return tightened(found, replace(found, lower=attained(state, near)))
