"""Ranges of a recipe's options, written beside each field's type and checked wherever a value is set."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.number_ranges import LARGEST, Range, shown
from autodual.requirements import checking

Finite = Annotated[float, Range(-LARGEST, LARGEST)]
NonNegative = Annotated[float, Range(0, LARGEST)]
Positive = Annotated[float, Range(0, LARGEST, excluded=(0,))]
Fraction = Annotated[float, Range(0, 1)]
#: The share of an average that is kept at each step; less than all of it.
Kept = Annotated[float, Range(0, 1, excluded=(1,))]
#: Counts; the largest ones are beyond any sensible use.
Count = Annotated[int, Range(1, 2**31 - 1)]
CountOrNone = Annotated[int, Range(0, 2**31 - 1)]


def check_fields(thing: Any) -> None:
    """Raise InvalidInputError for the first field of a dataclass whose value its type does not allow.

    While a step is captured numbers may be tensors, whose values come later.
    """
    if not checking():
        return
    hints = _hints(type(thing))  # type: ignore[arg-type]
    for entry in fields(thing):
        if entry.name in hints:
            require(hints[entry.name], getattr(thing, entry.name), entry.name)


def stands_at(value: float | Tensor, number: float) -> bool:
    """Whether a field has exactly this value; of a tensor, the moving number of a captured step, nobody can tell."""
    return not isinstance(value, Tensor) and value == number


def require(hint: Any, value: Any, where: str) -> None:
    """Raise InvalidInputError, naming the place, unless a value is in its type's range, or among its type's words."""
    if get_origin(hint) is Literal and value not in get_args(hint):
        words = ", ".join(map(repr, get_args(hint)))
        raise InvalidInputError(f"'{where}' must be one of {words}, not {shown(value)}")
    if get_origin(hint) is tuple:
        for one in value:
            require(get_args(hint)[0], one, where)
    for found in _metadata(hint):
        if isinstance(found, Range):
            found.require(where, value)


def _metadata(hint: Any) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    try:
        return get_type_hints(kind, include_extras=True)
    except NameError:  # classes defined in a function, whose names are unknown outside
        return {}
