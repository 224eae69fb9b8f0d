"""Choosing one of several registered dataclasses by name, with values for some fields: `name:field=value,…`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

from autodual.errors import InvalidInputError

_Class = TypeVar("_Class", bound=type)


def made_by_name(table: Mapping[str, type], text: str, what: str) -> Any:
    """An instance of one of a table's classes, with the field values in the text.

    Args:
        table: the classes by name.
        text: a name, alone or with values of fields, such as `pgd:steps=10,restarts=2`.
        what: a word for the classes in messages, such as `attack`.

    Raises:
        InvalidInputError: the name, or a field, is unknown, or the class refuses a value.

    Example:
        >>> from autodual.attacks import ATTACKS
        >>> from autodual.named_choices import made_by_name
        >>> made_by_name(ATTACKS, "pgd:steps=10", "attack").steps
        10
    """
    name, _, rest = text.partition(":")
    if name not in table:
        raise InvalidInputError(f"{name[:60]!r} is no {what} that is registered; there are {', '.join(table)}")
    kind = table[name]
    known = [one.name for one in fields(kind) if one.init] if is_dataclass(kind) else []
    values = {}
    for part in rest.split(",") if rest else ():
        field, equals, value = (word.strip() for word in part.partition("="))
        if not equals or field not in known:
            there = ", ".join(known) or "none"
            raise InvalidInputError(f"the {what} '{name}' has no option {part[:60]!r}; there are {there} (FIELD=VALUE)")
        values[field] = _value(value)
    _check_kinds(kind, name, values, what)
    try:
        return kind(**values)
    except TypeError as error:
        raise InvalidInputError(f"the {what} '{name}' cannot be made: {error}") from None


_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


def _check_kinds(kind: type, name: str, values: Mapping[str, Any], what: str) -> None:
    """Raise InvalidInputError for a value that is not of its field's type; only plain types are checked."""
    try:
        hints = get_type_hints(kind) if values else {}
    except NameError:  # classes from outside may name types that exist only while they are checked
        return
    for field, value in values.items():
        wanted = set(get_args(hints[field]) or (hints[field],))
        plain = wanted - {type(None)}
        fits = {type(value), *((float,) if type(value) is int else ())}
        if plain <= set(_KINDS) and not (fits & plain or (value is None and plain != wanted)):
            words = " or ".join(_KINDS[one] for one in _KINDS if one in plain)
            raise InvalidInputError(f"the {what} '{name}' needs {words} for its {field}, not {str(value)[:60]!r}")


def _value(text: str) -> Any:
    """The text as JSON (a number, true or false), else unchanged."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def registering(
    table: MutableMapping[str, Any], name: str, what: str, same: Callable[[Any, Any], bool], *, replace: bool
) -> Callable[[_Class], _Class]:
    """A class decorator that puts classes into a table under a name.

    Args:
        table: the classes by name.
        name: of lower-case letters, digits and dashes.
        what: a word for the classes in messages, such as `attack`.
        same: whether two classes are one definition run twice; the later one then replaces the earlier.
        replace: replace any other class of this name.

    Raises:
        ValueError: the name is taken or malformed.

    Example:
        >>> from autodual.named_choices import registering
        >>> from autodual.registration import same_definition
        >>> table = {}
        >>> @registering(table, "plain", "pass", same_definition, replace=False)
        ... class Plain: ...
        >>> list(table)
        ['plain']
    """

    def register(kind: _Class) -> _Class:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            raise ValueError(f"the name of a {what} must be of small letters, digits and dashes, not {name!r}")
        present = table.get(name)
        if present is not None and not replace and not same(present, kind):
            raise ValueError(f"the name '{name}' is already that of the {what} {present.__name__}; choose another")
        table[name] = kind
        return kind

    return register
