"""Constraints join rows on their way: as rows that wait at the constrained nodes, and as what the bound gains."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from autodual.bounds.rounding.error_factor import Debt, underflow
from autodual.bounds.rows.pull import Progress
from autodual.bounds.state.bound_state import BoundState
from autodual.bounds.state.constraints import Multiplied, Weighted
from autodual.dual.layer import Contribution
from autodual.dual.row_windows import Place
from autodual.dual.rows import Rows


def unit_constraints(state: BoundState, site: str) -> list[Multiplied]:
    """The constraints that take part in bounds of a site's units."""
    return [one for one in state.constraints if site in one.unit_multipliers]


def barrier(state: BoundState, constraints: list[Multiplied]) -> int:
    """The position of the last constrained node, which rows must not have passed when constraints join; -1: none."""
    return max((state.graph.positions[name] for one in constraints for name in one.nodes), default=-1)


def constrain_objective(state: BoundState, progress: Progress, owner: Tensor | None, first: int, last: int) -> Progress:
    """The objective's rows first to last of the subproblems owner `[G]`, or of all, under the constraints that bear on
    them.
    """
    for one in state.constraints:
        multiplier = one.for_objective(owner, first, last)
        if multiplier is not None:
            progress = _joined(state, progress, one.weighted(owner, multiplier), owner, None)
    return progress


def constrain_units(
    state: BoundState, progress: Progress, site: str, place: Place, unit: Tensor, upper: Tensor
) -> Progress:
    """Single rows of a site's units `[G]` at a place, for upper bounds where `upper`, under its constraints."""
    for one in unit_constraints(state, site):
        multiplier = one.for_units(site, place.owner, unit, upper)
        assert multiplier is not None
        progress = _joined(state, progress, one.weighted(place.owner, multiplier), place.owner, place.span)
    return progress


def _joined(
    state: BoundState, progress: Progress, weighted: Weighted, owner: Tensor | None, span: tuple[int, int] | None
) -> Progress:
    pending, count = dict(progress.pending), progress.centre.shape[1]
    if state.options.rigorous:
        progress = _charged(state, progress, weighted, owner, span)
    for name, values in weighted.rows.items():
        rows = Rows(-_each(values, count), state.graph[name].shape, owner=owner, span=span)
        pending[name] = pending[name].plus(rows) if name in pending else rows
    return replace(progress.gain(Contribution(centre=weighted.gain)), pending=pending)


def _charged(
    state: BoundState, progress: Progress, weighted: Weighted, owner: Tensor | None, span: tuple[int, int] | None
) -> Progress:
    """Charge rounding of the sums Σ β a and Σ β b, and of what rows that wait at the same node add to them."""
    factor, count = state.error_factor(weighted.terms), progress.centre.shape[1]
    for name, sizes in weighted.row_sizes.items():
        magnitude = state.magnitude(name)
        debt = Debt(factor * magnitude, underflow(weighted.terms, [magnitude], 1, like=magnitude))
        progress = progress.pay(debt, Rows(_each(sizes, count), state.graph[name].shape, owner=owner, span=span))
        if name in progress.pending:
            progress = progress.pay(debt, progress.pending[name])
    own = factor * weighted.gain_size
    return replace(progress, error=own if progress.error is None else progress.error + own)


def _each(values: Tensor, count: int) -> Tensor:
    """Rows `[G, K or 1, …]` as `[G, K, …]`."""
    return values.expand(-1, count, *values.shape[2:])
