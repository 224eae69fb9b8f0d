"""The forward sweep: intervals layer by layer, refined by dual bounds where a relaxation needs them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from autodual.bounds.engine.refinement import refine_operand
from autodual.bounds.engine.slope_search import searched
from autodual.bounds.memory.recomputation import recomputed_rows
from autodual.bounds.projected.projections import Projections
from autodual.bounds.rows.attained_ends import attained
from autodual.bounds.rows.constrained import constrain_objective
from autodual.bounds.rows.objective_rows import Piece, pieces_of
from autodual.bounds.rows.pull import Enclosure, LinearBound, Progress, advance, concretise, linear_bound
from autodual.bounds.state.bound_state import BoundState, is_linear
from autodual.dual.rule import AffineRule, NonlinearRule
from autodual.interval import Interval
from autodual.ir.graph import Node
from autodual.objective import Objective

# Part of the budget for the coefficients of rows whose bounds are estimated.
_ESTIMATED_SHARE = 8


def prepare(state: BoundState, targets: Iterable[str]) -> None:
    """Compute the layers and intervals of everything that the target nodes depend on, and constraints on the way."""
    constrained = (name for one in state.constraints if one.multiplier is not None for name in one.nodes)
    needed = frozenset().union(*(state.graph.ancestors[name] for name in (*targets, *constrained)))
    for node in state.graph:
        if node.name not in needed or node.name in state.intervals or node.name in state.layers:
            continue
        if node.name in state.regions:
            state.add_input(node)
        else:
            _add(state, node)


def _add(state: BoundState, node: Node) -> None:
    rule = state.rules[node.name]
    if isinstance(rule, AffineRule):
        state.add_layer(node, rule.layer(node, state.graph.input_shapes(node), state.environment))
        return
    for name in dict.fromkeys(node.inputs) if state.options.inner == "dual" else ():
        refine_operand(state, name, partial(_undecided, node, rule, name))
    bounds = [state.interval(name) for name in node.inputs]
    if not state.options.relaxes:
        state.add_range(node, rule.range(node.op, bounds, state.environment))
        return
    state.add_layer(node, rule.layer(node.op, bounds, state.environment, state.options.slopes))


@dataclass(frozen=True)
class ObjectiveBounds:
    """Lower bounds `[N, S]` of linear functions of one node over the set, and on request what proves them.

    error: the rounding error that `lower` allows for (rigorous computations only).
    linear: linear functions of the inputs that lie below, whose minimum over the set is `lower`.
    """

    lower: Tensor
    error: Tensor | None = None
    linear: LinearBound | None = None


def _undecided(
    node: Node, rule: NonlinearRule, name: str, state: BoundState, interval: Interval, samples: slice
) -> Tensor:
    """Where the node's relaxation would gain from tighter bounds of its operand `name`, were that in `interval`."""
    others = {other: _of_samples(state.interval(other), samples) for other in node.inputs if other != name}
    masks = rule.undecided(node.op, [others.get(other, interval) for other in node.inputs], state.environment)
    if isinstance(masks, Tensor):
        return masks
    own = [mask for mask, operand in zip(masks, node.inputs) if operand == name]
    return torch.stack(own).any(0)


def _of_samples(interval: Interval, samples: slice) -> Interval:
    """What belongs to some of the samples; constants are alike for all."""
    return interval if interval.shape[0] == 1 else interval.map(lambda end: end[samples])


def objective_bounds(state: BoundState, name: str, objective: Objective, *, linear: bool = False) -> ObjectiveBounds:
    """Lower bounds over the set of linear functions of a node, in the dtype of the computation.

    linear: also the functions that prove them, which estimates do not have.
    """
    projections = state.memories.get(Projections)
    if projections is not None and projections.objective and is_linear(state, name) and not linear:
        projections.used(torch.ones_like(projections.estimated))
        return _estimated(state, name, objective, projections)
    pieces, arrivals = pieces_of(state, name, objective), []
    for piece in pieces:
        work, rows = partial(_arrival, name, linear), piece.rows
        groups = state.samples if rows.owner is None else rows.owner.shape[0]
        if pieces.chunks.fits(groups * rows.count, groups):
            arrivals.append(work(state, piece))
        else:
            pieces.chunks.spare(groups * rows.count, groups)
            arrivals.append(recomputed_rows(state, work, piece))
    enclosures = [enclosure for enclosure, _ in arrivals]
    functions = [function for _, function in arrivals if function is not None]
    whole = pieces.assembled
    lower = whole([part.lower for part in enclosures])
    # A network's outputs are finite, so an infinite lower bound is overflow and not a bound.
    lower = torch.where(lower == torch.inf, torch.nan, lower)
    error = whole([part.error for part in enclosures if part.error is not None]) if state.options.rigorous else None
    if not linear:
        return ObjectiveBounds(lower, error)
    coefficients = {
        source: whole([part.coefficients[source] for part in functions]) for source in functions[0].coefficients
    }
    return ObjectiveBounds(lower, error, LinearBound(coefficients, whole([part.offset for part in functions])))


def _tightened(found: Enclosure, other: Enclosure) -> Enclosure:
    """The greater lower bound of the two."""
    greater = ~(found.lower >= other.lower) & ~other.lower.isnan()
    # What an interval's ends have already been widened by is not in its error, so the larger error stands for both.
    error = None if found.error is None or other.error is None else found.error.maximum(other.error)
    return Enclosure(torch.where(greater, other.lower, found.lower), found.upper, error)


def _arrival(name: str, linear: bool, state: BoundState, piece: Piece) -> tuple[Enclosure, LinearBound | None]:
    """Bounds of some of the objective's rows, and on request the functions that prove them."""
    start = Progress.start(name, piece.rows, one_sided=True)
    start = constrain_objective(state, start, piece.rows.owner, piece.first, piece.last)
    near = advance(state, start, through=state.is_affine)
    if state.options.last == "interval":
        found = _with_ends(state, near, concretise(state, near))
        return found, linear_bound(state, near) if linear else None
    first = advance(state, near)
    best = searched(state, name, near) if state.options.slopes == "optimized" else None
    progress = first if best is None else best
    found = concretise(state, progress)
    # A linear function is to prove the bound that is returned with it, so nothing else may tighten that.
    if linear:
        return found, linear_bound(state, progress)
    # Rounding is charged for all lines that a search might have chosen, so that those it began with can be better.
    others = ([near] if state.intersects else []) + ([first] if best is not None else [])
    for other in others:
        found = _tightened(found, concretise(state, other))
    return _with_ends(state, near, found), None


def _with_ends(state: BoundState, near: Progress, found: Enclosure) -> Enclosure:
    """The bounds, or better ones where rounding is charged for the intervals' ends that rows ask for, and no more."""
    if not (state.options.rigorous and state.intersects) or any(name in state.regions for name in near.pending):
        return found
    return _tightened(found, replace(found, lower=attained(state, near)))


def _estimated(state: BoundState, name: str, objective: Objective, projections: Projections) -> ObjectiveBounds:
    """Estimates of all rows, as many at a time as leave most of the room to what they are estimated from."""
    limit = max(1, state.options.room // _ESTIMATED_SHARE // (state.samples * objective.terms * state.itemsize))
    lowers, errors = [], []
    for first in range(0, objective.count, limit):
        rows = objective.piece(None, first, min(first + limit, objective.count))
        lower, error = projections.lower(name, rows)
        lowers.append(lower)
        errors += [] if error is None else [error]
    return ObjectiveBounds(torch.cat(lowers, 1), torch.cat(errors, 1) if errors else None)
