"""Checks that the projection passes share."""

from __future__ import annotations

from typing import get_args

from autodual.errors import InvalidInputError
from autodual.policies import ProjectedBounds, Projection


def checked(projection: Projection) -> Projection:
    """The projection; raises InvalidInputError where one of its values makes no sense."""
    if projection.dim < 1:
        raise InvalidInputError(f"a projection needs at least one column, not {projection.dim}")
    if projection.where not in get_args(ProjectedBounds):
        raise InvalidInputError(f"where must be 'inner', 'last' or 'both', not {projection.where!r}")
    if projection.delta is not None and not 0 < projection.delta < 1:
        raise InvalidInputError(f"a failure probability must lie between 0 and 1, but is {projection.delta}")
    return projection
