"""Specifications as the command line writes them: "class", "top-k:3", "deviation:0.1", a file, or a formula."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autodual.errors import InvalidInputError
from autodual.inputs import Labels
from autodual.limits import TEXT, parse_json, read_file
from autodual.limits.array_headers import load_array
from autodual.specs.avoided_class import AvoidedClass
from autodual.specs.base import Specification
from autodual.specs.classes import ClassMargin, TopK
from autodual.specs.halfspaces import HalfSpaces
from autodual.specs.output_formula import Formula
from autodual.specs.outputs import Deviation, OutputBox

_FORMS = (
    "'class', 'top-k:3', 'not-class:3', 'deviation:0.1', 'box:lower.npy,upper.npy', 'file.json' or a formula such as "
    "'y0 > y1'"
)


def parse_specification(text: str, labels: Labels | None = None, class_axis: int = 1) -> Specification:
    """The specification that a text names.

    Args:
        text: such as `top-k:3`, `deviation:0.1`, `box:0,1`, a `.json` file, or a formula such as `y0 > y1`.
        labels: for specifications of classes, as in `ClassMargin`.
        class_axis: the axis of the outputs that holds the classes.

    Raises:
        InvalidInputError: the text has no known form, a file cannot be read, or labels are missing.

    Example:
        >>> from autodual.specs import parse_specification
        >>> parse_specification("y0 > y1 + 0.5").describe()
        'y0 > y1 + 0.5'
    """
    text = text.strip()
    TEXT.require("--spec", "it", len(text))
    kind, _, argument = text.partition(":")
    if text.endswith(".json"):
        return _from_file(Path(text))
    if text == "class":
        return ClassMargin(_required(labels, text), class_axis)
    if kind == "top-k":
        k = _whole(argument, "top-k:3")
        return TopK(_required(labels, "top-k"), k, class_axis)
    if kind == "not-class":
        return AvoidedClass(_whole(argument, "not-class:3"))
    if kind in _READERS:
        return _READERS[kind](argument)
    if not any(sign in text for sign in "<>="):
        raise InvalidInputError(f"'{text[:80]}' is not a specification; write {_FORMS}")
    return Formula(text)


def _whole(argument: str, example: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", argument):
        kind = example.partition(":")[0]
        raise InvalidInputError(f"'{kind}:{argument[:40]}' needs a whole number, as in '{example}'")
    return int(argument)


def _deviation(argument: str) -> Specification:
    return Deviation(_numbers(argument, "deviation:0.1"))


def _box(argument: str) -> Specification:
    ends = argument.split(",")
    if len(ends) != 2:
        raise InvalidInputError(f"'box:{argument[:40]}' needs two ends, as in 'box:lower.npy,upper.npy' or 'box:0,1'")
    lower, upper = (_numbers(end.strip(), "box:lower.npy,upper.npy") for end in ends)
    return OutputBox(lower, upper)


_READERS: dict[str, Callable[[str], Specification]] = {
    "deviation": _deviation,
    "box": _box,
}


def _required(labels: Labels | None, what: str) -> Labels:
    if labels is None:
        raise InvalidInputError(f"the specification '{what}' needs labels, but the data has none")
    return labels


def _numbers(text: str, example: str) -> Any:
    """A number, or the array in an .npy file."""
    try:
        return load_array(text) if text.endswith(".npy") else float(text)
    except (OSError, ValueError) as error:
        raise InvalidInputError(
            f"'{text[:80]}' is neither a number nor a readable .npy file, as in '{example}'"
        ) from error


def _from_file(path: Path) -> Specification:
    """The half-spaces in a file {"matrix": [[…]], "offset": […], "clauses": [[…]]}; clauses may be left out."""
    try:
        content = parse_json(str(path), read_file(path))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InvalidInputError(f"cannot read a specification from '{path}': {reason}") from error
    required, known = {"matrix", "offset"}, {"matrix", "offset", "clauses"}
    if not isinstance(content, dict) or not required <= content.keys() <= known:
        raise InvalidInputError(f"'{path}' must hold an object with the keys matrix, offset and, if need be, clauses")
    clauses = content.get("clauses")
    if clauses is not None and not (isinstance(clauses, list) and all(isinstance(clause, list) for clause in clauses)):
        raise InvalidInputError(f"the clauses in '{path}' must be lists of row numbers, such as [[0, 1], [2]]")
    return HalfSpaces(content["matrix"], content["offset"], clauses)
