"""Checks that the projection passes share."""

from __future__ import annotations

from typing import get_args

from autodual.errors import InvalidInputError
from autodual.policies import ProjectedBounds, Projection

#: Random numbers that have 53 bits, and streams of them, are not independent beyond all doubt.
SMALLEST_DELTA = 1e-9


def checked(projection: Projection) -> Projection:
    """The projection; raises InvalidInputError where one of its values makes no sense."""
    if projection.dim < 1:
        raise InvalidInputError(f"a projection needs at least one column, not {projection.dim}")
    if projection.where not in get_args(ProjectedBounds):
        raise InvalidInputError(f"where must be 'inner', 'last' or 'both', not {projection.where!r}")
    if projection.delta is not None and not SMALLEST_DELTA <= projection.delta < 1:
        raise InvalidInputError(
            f"a failure probability must be at least {SMALLEST_DELTA:g}, for random numbers have finite precision, and "
            f"less than 1, but is {projection.delta}"
        )
    return projection
