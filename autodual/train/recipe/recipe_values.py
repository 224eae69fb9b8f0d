"""Dataclasses from plain values and back, so that every option of a recipe is spelled in one way only.

A field that may hold one of several classes (a loss, a schedule, an augmentation) is a table whose `kind` names it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from autodual.errors import InvalidInputError
from autodual.number_ranges import TYPE_WORDS, shown
from autodual.train.augmentation import AUGMENTATIONS, Augmentation
from autodual.train.limits import Finite, require
from autodual.train.losses.base import Loss
from autodual.train.losses.named_losses import LOSSES
from autodual.train.schedules import SCHEDULES, Constant, Schedule

_FAMILIES: dict[type, Mapping[str, type]] = {Loss: LOSSES, Schedule: SCHEDULES, Augmentation: AUGMENTATIONS}
# Limits beyond any recipe's needs; a file can hold anything.
_MOST_VALUES, _DEEPEST, _LONGEST_NAME, _LONGEST_STRING = 10_000, 20, 100, 4000


def assemble(kind: type, values: Any, where: str = "") -> Any:
    """An object of a class from plain values.

    Args:
        kind: the class, such as `Recipe`.
        values: nested tables, lists, numbers and strings, as a recipe's file has them.
        where: its place in the recipe, for messages.

    Raises:
        InvalidInputError: for a missing, unknown or unfit value; the message names the place.

    Example:
        >>> from autodual.train.recipe import DataSection, assemble
        >>> assemble(DataSection, {"train": "mnist:train"}).train
        'mnist:train'
    """
    require_small(values)
    return _assembled(kind, values, where)


def require_small(values: Any) -> None:
    """Raise InvalidInputError for more plain values, or more deeply nested ones, than any recipe needs.

    A value counts each time that it occurs, so that values that contain themselves are refused too. Names in tables
    must be short and printable.
    """
    pending, count = [(values, 0)], 0
    while pending:
        value, depth = pending.pop()
        count += 1
        if count > _MOST_VALUES or depth > _DEEPEST:
            raise InvalidInputError(f"a recipe holds at most {_MOST_VALUES} values, nested {_DEEPEST} deep at most")
        if isinstance(value, Mapping):
            for name in value:
                if not isinstance(name, str) or not name.isprintable() or len(name) > _LONGEST_NAME:
                    raise InvalidInputError(f"{shown(name)} is no name of an option")
            pending += [(inside, depth + 1) for inside in value.values()]
        elif isinstance(value, (list, tuple)):
            pending += [(inside, depth + 1) for inside in value]


def _assembled(kind: Any, values: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        found = _assembled(arguments[0], values, where)
        require(kind, found, where)
        return found
    if kind in _FAMILIES:
        return _member(kind, values, where)
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, values, where)
    if origin is Literal:
        require(kind, values if isinstance(values, str) else shown(values), where)
        return values
    if origin is tuple:
        if not isinstance(values, (list, tuple)):
            raise InvalidInputError(f"'{where}' must be a list, not {shown(values)}")
        return tuple(_assembled(arguments[0], value, where) for value in values)
    if origin is not None and issubclass(origin, Mapping):
        table = _table(values, where)
        return {key: _assembled(arguments[1], value, _join(where, key)) for key, value in table.items()}
    if kind is Any:
        return tuple(values) if isinstance(values, list) else values
    return _plain(kind, values, where)


def _member(family: type, values: Any, where: str) -> Any:
    """One of several classes: its name alone, a table with its `kind`, or a number for a constant schedule."""
    members = _FAMILIES[family]
    if family is Schedule and isinstance(values, (int, float)) and not isinstance(values, bool):
        return Constant(_assembled(Finite, values, where))
    table = {"kind": values} if isinstance(values, str) else dict(_table(values, where))
    name = table.pop("kind", None)
    if not isinstance(name, str) or name not in members:
        otherwise = ", or a number" if family is Schedule and isinstance(values, str) else ""
        words = f"one of {', '.join(members)}{otherwise}"
        raise InvalidInputError(f"'{_join(where, 'kind')}' must be {words}, not {shown(name)}")
    return _dataclass(members[name], table, where)


def _dataclass(kind: type, values: Any, where: str) -> Any:
    hints, table = get_type_hints(kind, include_extras=True), dict(_table(values, where))
    if hasattr(kind, "from_table"):
        table = dict(kind.from_table(table))
    known = {entry.name: entry for entry in fields(kind)}
    for name in table:
        if name not in known:
            raise InvalidInputError(f"'{_join(where, name)}' is unknown; there are {', '.join(known)}")
    for name, entry in known.items():
        if name not in table and entry.default is MISSING and entry.default_factory is MISSING:
            raise InvalidInputError(f"'{_join(where, name)}' is missing")
    found = {name: _assembled(hints[name], value, _join(where, name)) for name, value in table.items()}
    try:
        return kind(**found)
    except InvalidInputError as error:
        if where.partition(".")[0] in str(error):
            raise
        raise InvalidInputError(f"'{where}' is wrong: {error}") from None


def _plain(kind: type, value: Any, where: str) -> Any:
    if kind is float and value == "inf":
        return math.inf
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise InvalidInputError(f"'{where}' is too large a number") from None
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise InvalidInputError(f"'{where}' must be {TYPE_WORDS.get(kind, kind.__name__)}, not {shown(value)}")
    if isinstance(value, str) and not (value.isprintable() and len(value) <= _LONGEST_STRING):
        raise InvalidInputError(f"'{where}' must be a string of printable letters, not {shown(value)}")
    return value


def _table(values: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise InvalidInputError(f"'{where}' must be a table, not {shown(values)}" if where else "a recipe is a table")
    return values


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def disassemble(thing: Any) -> Any:
    """The plain values from which `assemble` makes the same object; JSON and TOML can hold them.

    Args:
        thing: a recipe, or a part of one.

    Example:
        >>> from autodual.train.recipe import SetSection, assemble, disassemble
        >>> section = assemble(SetSection, {"eps": 0.1})
        >>> assemble(SetSection, disassemble(section)) == section
        True
    """
    for members in _FAMILIES.values():
        for name, kind in members.items():
            if type(thing) is kind:
                return {"kind": name, **_fields(thing)}
    if hasattr(thing, "to_table"):
        return disassemble(thing.to_table())
    if is_dataclass(thing):
        return _fields(thing)
    if isinstance(thing, Mapping):
        return {key: disassemble(value) for key, value in thing.items()}
    if isinstance(thing, tuple):
        return [disassemble(value) for value in thing]
    return "inf" if thing == math.inf and isinstance(thing, float) else thing


def _fields(thing: Any) -> dict[str, Any]:
    return {entry.name: disassemble(getattr(thing, entry.name)) for entry in fields(thing)}


def overridden(values: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of nested tables with one entry set.

    Args:
        values: nested tables.
        path: the entry's place, such as `loss.kappa`.
        value: its value.

    Example:
        >>> from autodual.train.recipe import overridden
        >>> overridden({"loss": {"kind": "robust"}}, "loss.kappa", 0.5)
        {'loss': {'kind': 'robust', 'kappa': 0.5}}
    """
    head, dot, rest = path.partition(".")
    inside = values.get(head, {})
    if not dot:
        return {**values, head: value}
    if isinstance(inside, str):  # the name of a kind alone
        inside = {"kind": inside}
    if not isinstance(inside, Mapping):
        raise InvalidInputError(f"'{head}' is not a table, so it has no '{rest}'")
    return {**values, head: overridden(inside, rest, value)}
