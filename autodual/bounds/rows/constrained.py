"""Constraints join rows on their way: as rows that wait at the constrained nodes, and as what the bound gains."""

from __future__ import annotations

from collections.abc import Sequence

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


def barrier(state: BoundState, constraints: Sequence[Multiplied]) -> int:
    """The position of the last constrained node, which rows must not have passed when constraints join; -1: none."""
    return max((state.graph.positions[name] for one in constraints for name in one.nodes), default=-1)


def join_constraints(
    state: BoundState, progress: Progress, multipliers: Sequence[Tensor | None], owner: Tensor | None
) -> Progress:
    """Rows of the subproblems owner `[G]` (None: of all), under the constraints that have multipliers `[G or 1, K or 1,
    *C]`.
    """
    for one, multiplier in zip(state.constraints, multipliers, strict=True):
        if multiplier is not None:
            progress = join_constraint(state, progress, one, multiplier, owner)
    return progress


def constrain_units(
    state: BoundState, progress: Progress, site: str, place: Place, unit: Tensor, upper: Tensor
) -> Progress:
    """Single rows of a site's units `[G]` at a place, for upper bounds where `upper`, under its constraints."""
    for one in unit_constraints(state, site):
        multiplier = one.for_units(site, place.owner, unit, upper)
        assert multiplier is not None
        progress = join_constraint(state, progress, one, multiplier, place.owner, place.span)
    return progress


def join_constraint(
    state: BoundState,
    progress: Progress,
    one: Multiplied,
    multiplier: Tensor,
    owner: Tensor | None,
    span: tuple[int, int] | None = None,
) -> Progress:
    """Rows of the subproblems owner `[G]` (None: of all) with constraints times multipliers `[G or 1, K, *C]` added."""
    weighted = one.weighted(owner, multiplier)
    pending, count = dict(progress.pending), progress.centre.shape[1]
    if state.options.rigorous:
        progress = _charged(state, progress, one.sizes().weighted(owner, multiplier), owner, span)
    for name, values in weighted.rows.items():
        rows = Rows(-_each(values, count), state.graph[name].shape, owner=owner, span=span)
        pending[name] = pending[name].plus(rows) if name in pending else rows
    return progress.gain(Contribution(centre=weighted.gain))._replace(pending=pending)


def _charged(
    state: BoundState, progress: Progress, sizes: Weighted, owner: Tensor | None, span: tuple[int, int] | None
) -> Progress:
    """Charge rounding of the sums Σ β a and Σ β b, and of what rows that wait at the same node add to them.

    sizes: the same sums of magnitudes.
    """
    factor, count = state.error_factor(sizes.terms), progress.centre.shape[1]
    for name, values in sizes.rows.items():
        magnitude = state.magnitude(name)
        debt = Debt(factor * magnitude, underflow(sizes.terms, [magnitude], 1, like=magnitude))
        progress = progress.pay(debt, Rows(_each(values, count), state.graph[name].shape, owner=owner, span=span))
        if name in progress.pending:
            progress = progress.pay(debt, progress.pending[name])
    own = factor * sizes.gain
    return progress._replace(error=own if progress.error is None else progress.error + own)


def _each(values: Tensor, count: int) -> Tensor:
    """Rows `[G, K or 1, …]` as `[G, K, …]`."""
    return values.expand(-1, count, *values.shape[2:])
