"""A union as the command line and recipes spell it: `linf:0.3,l2:1.5,l1:12`, and a factor for all of its radii."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.number_ranges import shown
from autodual.perturbations.parameters import Domain
from autodual.perturbations.registry.registered_sets import choose_set
from autodual.perturbations.registry.set_parameter import SetParameter
from autodual.perturbations.union_set import Union

_SIZE = SetParameter("radius", float, "Radius of a member.")


def scaled_union(radius: Any, domain: Domain = None, *, members: Sequence[str]) -> Union:
    """The union of registered sets, each of `radius` times its own radius, all clipped to the same domain.

    Args:
        radius: the factor, a number or a tensor `[N]` with one for each sample.
        domain: as in `LinfBall`.
        members: `NAME:RADIUS` of each.

    Raises:
        InvalidInputError: a member is not spelled so, or is no registered set.

    Example:
        >>> from autodual.perturbations.spelled_union import scaled_union
        >>> scaled_union(0.5, members=["linf:0.5", "l2:3"]).describe()
        'union of l∞ ball of radius 0.25, unclipped; l2 ball of radius 1.5, unclipped'
    """
    # In float64, in which a factor in float32 times a member's radius is not rounded to a smaller one.
    factor = radius.double() if isinstance(radius, Tensor) else radius
    return Union(*[choose_set(name).make(factor * size, domain) for name, size in map(_read, members)])


def _read(member: str) -> tuple[str, float]:
    """The name and the radius of a member."""
    name, colon, text = member.rpartition(":")
    if not colon:
        raise InvalidInputError(f"a union's members are spelled NAME:RADIUS, such as linf:0.3, not {shown(member)}")
    size = _SIZE.parsed(text)
    if not 0 <= size < math.inf:
        raise InvalidInputError(f"the radius of a union's member must not be negative, as that of {shown(member)} is")
    return name, size
