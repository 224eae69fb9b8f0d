"""VNN-LIB 1.0: the subset of SMT-LIB with scalars X_0, X_1, … and Y_0, Y_1, …

The `vnnlib` package reads version 2.0 only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from autodual.errors import DataError
from autodual.properties.formulas import Formula, Linear
from autodual.properties.monomials import OUTPUTS
from autodual.properties.property import Variable
from autodual.properties.syntax import Token, excerpt, tokens
from autodual.properties.term_expressions import ExpressionReader

_VARIABLE = re.compile(r"([XY])_(0|[1-9][0-9]{0,7})")
_DEEPEST = 1000
# Tokens of the longest declaration, including parentheses.
_DECLARATION = 6
# Commands of SMT-LIB that do not affect the property.
_IDLE = frozenset({"set-logic", "set-info", "set-option", "check-sat", "get-model", "exit"})


def read_version1(text: str) -> tuple[tuple[Variable, ...], tuple[Variable, ...], list[Formula]]:
    """The declared inputs and outputs, and the asserted formulas.

    Raises:
        DataError: the text is not VNN-LIB 1.0, or holds what cannot be verified.
    """
    declared: dict[str, set[int]] = {"X": set(), "Y": set()}
    reader = ExpressionReader(text, lambda word: _column(word, declared))
    formulas: list[Formula] = []
    stream = tokens(text, _DEEPEST)
    for start, head in _commands(text, stream):
        if head == "assert":
            values = reader.read(stream, start)
            if len(values) != 1 or isinstance(values[0], Linear):
                raise DataError(f"'{excerpt(text, start)}' does not assert one formula.")
            formulas.append(values[0])
        elif head in ("declare-const", "declare-fun"):
            _declare(declared, head, stream, excerpt(text, start))
        elif head in _IDLE:
            for _ in _inside(stream):
                pass
        else:
            raise DataError(f"'{excerpt(text, start)}' is no declaration and no assertion of VNN-LIB 1.0.")
    sizes = [_count(kind, places) for kind, places in declared.items()]
    return (Variable("X", (sizes[0],)),), (Variable("Y", (sizes[1],)),), formulas


def _declare(declared: dict[str, set[int]], head: str, stream: Iterator[Token], where: str) -> None:
    words = [word for word, *_ in islice(_inside(stream), _DECLARATION)]
    match = _VARIABLE.fullmatch(words[0]) if words else None
    if match is None or words[1:] != (["Real"] if head == "declare-const" else ["(", ")", "Real"]):
        raise DataError(f"'{where}' does not declare a real input X_i or a real output Y_j.")
    places, place = declared[match[1]], int(match[2])
    if place in places:
        raise DataError(f"'{where}' is declared before; inputs X_i and outputs Y_j must be declared once each.")
    places.add(place)


def _commands(text: str, stream: Iterator[Token]) -> Iterator[tuple[int, str]]:
    """The position and first word of each command; the caller reads on to the parenthesis that closes it."""
    for word, start, _ in stream:
        head = next(stream)[0] if word == "(" else ")"
        if head in "()":
            raise DataError(f"'{excerpt(text, start)}' is no declaration and no assertion of VNN-LIB 1.0.")
        yield start, head


def _inside(stream: Iterator[Token]) -> Iterator[Token]:
    """The tokens up to the parenthesis that closes a command, which is consumed."""
    for token in stream:
        if token[0] == ")" and token[2] == 0:
            return
        yield token


def _count(kind: str, places: set[int]) -> int:
    what = {"X": "inputs", "Y": "outputs"}[kind]
    if not places:
        raise DataError(f"the property declares no {what} {kind}_0, {kind}_1, …")
    if max(places) >= len(places):
        raise DataError(f"the {what} {kind}_i must be numbered from 0 without gaps.")
    return len(places)


def _column(word: str, declared: dict[str, set[int]]) -> int | None:
    """The column of a declared variable, or None."""
    match = _VARIABLE.fullmatch(word)
    if match is None or int(match[2]) not in declared[match[1]]:
        return None
    return int(match[2]) + (OUTPUTS if match[1] == "Y" else 0)
