"""Checks of the values that a caller gives fields of `Ask`: one for each kind of value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import torch

from autodual.bounds import Slopes
from autodual.errors import InvalidInputError
from autodual.policies import InnerBounds, LastBound, SlopePolicy


def check_field(name: str, value: Any) -> None:
    """Refuse a value that a field of `Ask` cannot have.

    Args:
        name: of the field.
        value: that a caller gives it; not None.

    Raises:
        InvalidInputError: a sentence that names the field and what it takes.

    Example:
        >>> from autodual.network.ask_checks import check_field
        >>> check_field("steps", 20)
    """
    _CHECKS[name](name, value)


def _one_of(name: str, value: Any) -> None:
    choices = _CHOICES[name]
    if not (isinstance(value, str) and value in choices):
        raise InvalidInputError(f"{name} must be {_either(choices)}, not {value!r}")


def _flag(name: str, value: Any) -> None:
    if value not in (True, False):
        raise InvalidInputError(f"{name} must be True, False or None, not {value!r}")


def _of_kind(name: str, value: Any) -> None:
    kind, words = _KINDS[name]
    if not isinstance(value, kind):
        found = type(value).__name__
        raise InvalidInputError(f"{name} must be {words}, but is {'an' if found[0] in 'aeiou' else 'a'} {found}")


def _count(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidInputError(f"{name} must be a whole number of steps, 0 or more, not {value!r}")


def _number(name: str, value: Any) -> None:
    if not isinstance(value, (int, float)) or math.isnan(value):
        raise InvalidInputError(f"{name} must be a number, not {value!r}")


def _either(choices: tuple[str, ...]) -> str:
    *others, last = map(repr, choices)
    return f"{', '.join(others)} or {last}"


_CHOICES = {"slopes": get_args(SlopePolicy), "inner": get_args(InnerBounds), "last": get_args(LastBound)}
_INTERVALS = "a dict from node names to intervals"
_KINDS: dict[str, tuple[Any, str]] = {
    "known": (Mapping, _INTERVALS),
    "given": (Mapping, _INTERVALS),
    "constraints": (Sequence, "a list of autodual.Constraint or autodual.Split"),
    "owner": (torch.Tensor, "a tensor of indices of samples"),
    "chosen_slopes": (Slopes, "autodual.Slopes (slopes= takes the name of a policy)"),
    "at": (str, "the name of a node"),
}
_FLAGS = ("balls", "all_units", "rigorous", "exact", "linear", "sites", "executed", "record", "search")
#: By field, the check of a value that is said.
_CHECKS: dict[str, Callable[[str, Any], None]] = {
    **dict.fromkeys(_CHOICES, _one_of),
    **dict.fromkeys(_KINDS, _of_kind),
    **dict.fromkeys(_FLAGS, _flag),
    **dict.fromkeys(("steps", "inner_steps", "sweeps"), _count),
    "enough": _number,
}
