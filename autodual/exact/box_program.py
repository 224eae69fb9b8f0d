"""The least of the greatest of several linear functions over a box cut by half-spaces, as a linear program.

What a search needs of it are the multipliers: they say which combination of functions and half-spaces proves most. A
search bounds that combination by itself, so that nothing of a solver is trusted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy

from autodual.exact.linear_program import Array, ProgramBuilder
from autodual.exact.linear_solver import LinearSolver


@dataclass(frozen=True, eq=False)
class Cut:
    """Functions slope · x + offset, `[R, D]` and `[R]`, over the box [lower, upper] `[D]` where rows · x ≥ least,
    `[K, D]` and `[K]`; all float64.
    """

    slope: Array
    offset: Array
    rows: Array
    least: Array
    lower: Array
    upper: Array


@dataclass(frozen=True, eq=False)
class Multipliers:
    """What proves the least of the greatest function of a cut.

    functions: the share of each function, `[R]`, together 1. halfspaces: multipliers of the half-spaces, `[K]`. point:
    where the greatest function is least, `[D]`; None where the half-spaces leave nothing of the box.
    """

    functions: Array
    halfspaces: Array
    point: Array | None


def multipliers_of(cut: Cut, seconds: float) -> Multipliers | None:
    """The multipliers that prove most; None where the solver finds nothing in so many seconds.

    Raises:
        InvalidInputError: highspy is not installed.

    Example:
        >>> import numpy
        >>> from autodual.exact import Cut, multipliers_of
        >>> one = numpy.ones((1, 1))
        >>> cut = Cut(one, numpy.zeros(1), one, numpy.array([0.5]), -numpy.ones(1), numpy.ones(1))
        >>> found = multipliers_of(cut, 1.0)
        >>> found.functions, found.halfspaces, found.point
        (array([1.]), array([1.]), array([0.5]))
    """
    ends = cut.slope * cut.lower, cut.slope * cut.upper
    bottom = float((numpy.minimum(*ends).sum(1) + cut.offset).max()) - 1.0
    top = float((numpy.maximum(*ends).sum(1) + cut.offset).max()) + 1.0
    if not (math.isfinite(bottom) and math.isfinite(top)):
        return None
    solver = _solver(cut, bottom, top)
    found = solver.solve(numpy.zeros(0), numpy.zeros(0), math.inf, seconds) if solver.takes else None
    if found is None:
        return None
    multipliers = numpy.maximum(found.multipliers, 0.0)
    shares, beta = _shares(multipliers[: len(cut.slope)]), multipliers[len(cut.slope) :]
    if found.infeasible:
        gained = _gained(cut, beta)
        # Of no function is more missing than that; twice as much leaves room for rounding.
        return Multipliers(shares, beta * (2 * (1 + abs(bottom)) / gained), None) if gained > 0 else None
    return None if found.point is None else Multipliers(shares, beta, found.point[:-1])


def _solver(cut: Cut, bottom: float, top: float) -> LinearSolver:
    """Of the program min t, where no function exceeds t."""
    builder = ProgramBuilder()
    x = builder.add_columns(cut.lower, cut.upper)
    t = builder.add_columns(numpy.array([bottom]), numpy.array([top]))
    for matrix, least, whole in ((-cut.slope, cut.offset, True), (cut.rows, cut.least, False)):
        count = len(matrix)
        place = numpy.repeat(numpy.arange(count), len(x))
        entries = [(place, numpy.tile(x, count), matrix.reshape(-1))]
        if whole:
            entries.append((numpy.arange(count), numpy.repeat(t, count), numpy.ones(count)))
        builder.add_rows(entries, least, math.inf, count, numpy.zeros(count))
    return LinearSolver(builder.program(), numpy.concatenate([numpy.zeros(len(x)), numpy.ones(1)]))


def _shares(weights: Array) -> Array:
    """Weights `[R]` that are not negative, scaled to the sum 1; equal ones where all are zero."""
    total = weights.sum()
    return weights / total if total > 0 else numpy.full(len(weights), 1 / len(weights))


def _gained(cut: Cut, beta: Array) -> float:
    """What multipliers prove of the function 0: positive where no point keeps all half-spaces."""
    mixed = beta @ cut.rows
    return float(beta @ cut.least - numpy.maximum(mixed * cut.lower, mixed * cut.upper).sum())
