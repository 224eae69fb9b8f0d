"""Checks that the projection passes share."""

from __future__ import annotations

from numbers import Integral, Real
from typing import get_args

from autodual.errors import InvalidInputError
from autodual.policies import ProjectedBounds, Projection

#: Random numbers of 53 bits from a generator cannot justify smaller probabilities.
SMALLEST_DELTA = 1e-9


def checked(projection: Projection) -> Projection:
    """The projection itself; raises InvalidInputError if one of its values is out of range."""
    if not _is_whole(projection.dim) or projection.dim < 1:
        raise InvalidInputError(f"dim must be a whole number of at least 1, not {projection.dim!r}")
    if projection.seed is not None and not _is_whole(projection.seed):
        raise InvalidInputError(f"seed must be a whole number, not {projection.seed!r}")
    if projection.where not in get_args(ProjectedBounds):
        raise InvalidInputError(f"where must be 'inner', 'last' or 'both', not {projection.where!r}")
    if projection.delta is not None and not _is_number(projection.delta):
        raise InvalidInputError(f"delta must be a number, the failure probability, not {projection.delta!r}")
    if projection.delta is not None and not SMALLEST_DELTA <= projection.delta < 1:
        raise InvalidInputError(
            f"a failure probability must be at least {SMALLEST_DELTA:g} (random numbers have finite precision) and "
            f"less than 1, but is {projection.delta}"
        )
    return projection


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
