"""VNN-LIB 1.0: the subset of SMT-LIB with scalars X_0, X_1, … and Y_0, Y_1, …

The `vnnlib` package reads version 2.0 only, so this is a reader of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from autodual.errors import DataError
from autodual.properties.formulas import COMPARISONS, And, Formula, Linear, Or, compare, number
from autodual.properties.property import Variable

_TOKEN = re.compile(r"[()]|[^\s()]+")
_COMMENT = re.compile(r";[^\n]*")
_VARIABLE = re.compile(r"([XY])_(0|[1-9][0-9]{0,7})")
_DEEPEST = 100
# Commands of SMT-LIB that say nothing about the property.
_IDLE = frozenset({"set-logic", "set-info", "set-option", "check-sat", "get-model", "exit"})

Expression: TypeAlias = "str | list[Expression]"


def read_version1(text: str) -> tuple[tuple[Variable, ...], tuple[Variable, ...], list[Formula]]:
    """The declared inputs and outputs, and the asserted formulas.

    Raises:
        DataError: the text is no such file, or says what cannot be verified.
    """
    declared: dict[str, list[int]] = {"X": [], "Y": []}
    assertions: list[Expression] = []
    for command in _expressions(text):
        head = command[0] if isinstance(command, list) and command else command
        if head in ("declare-const", "declare-fun"):
            kind, place = _declaration(command)
            declared[kind].append(place)
        elif head == "assert" and len(command) == 2:
            assertions.append(command[1])
        elif head not in _IDLE:
            raise DataError(f"'{_shown(command)}' is no declaration and no assertion of VNN-LIB 1.0.")
    sizes = {kind: _count(kind, places) for kind, places in declared.items()}
    reader = _Reader(sizes["X"], sizes["Y"])
    formulas = [reader.formula(assertion, 0) for assertion in assertions]
    return (Variable("X", (sizes["X"],)),), (Variable("Y", (sizes["Y"],)),), formulas


def _expressions(text: str) -> Iterator[Expression]:
    """The top-level expressions, as nested lists of words."""
    stack: list[list[Expression]] = [[]]
    for token in _TOKEN.findall(_COMMENT.sub("", text)):
        if token == "(":
            stack.append([])
            if len(stack) > _DEEPEST:
                raise DataError("the property is nested too deeply.")
        elif token == ")":
            if len(stack) == 1:
                raise DataError("the property closes a parenthesis that it never opened.")
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    if len(stack) > 1:
        raise DataError("the property ends within an expression; the file is truncated.")
    yield from stack[0]


def _declaration(command: Expression) -> tuple[str, int]:
    fields = list(command)
    signature = fields[2:] if fields[0] == "declare-const" else fields[3:] if fields[2:3] == [[]] else None
    match = _VARIABLE.fullmatch(fields[1]) if len(fields) > 1 and isinstance(fields[1], str) else None
    if match is None or signature != ["Real"]:
        raise DataError(f"'{_shown(command)}' does not declare a real input X_i or a real output Y_j.")
    return match[1], int(match[2])


def _count(kind: str, places: list[int]) -> int:
    what = {"X": "inputs", "Y": "outputs"}[kind]
    if not places:
        raise DataError(f"the property declares no {what} {kind}_0, {kind}_1, …")
    if sorted(places) != list(range(len(places))):
        raise DataError(f"the {what} {kind}_i must be declared once each and be numbered from 0 without gaps.")
    return len(places)


@dataclass(frozen=True)
class _Reader:
    """Expressions over so many inputs and outputs as formulas."""

    inputs: int
    outputs: int

    def formula(self, expression: Expression, depth: int) -> Formula:
        operator, parts = self._application(expression)
        if operator in ("and", "or"):
            inner = tuple(self.formula(part, depth + 1) for part in parts)
            return And(inner) if operator == "and" else Or(inner)
        if len(parts) == 2 and operator in COMPARISONS:
            found = compare(operator, self.linear(parts[0]), self.linear(parts[1]))
            if found is not None:
                return found
        raise DataError(
            f"'{_shown(expression)}' is not understood; use and, or, and comparisons <=, <, >=, >, = of two terms."
        )

    def linear(self, expression: Expression) -> Linear:
        if isinstance(expression, str):
            return self._leaf(expression)
        operator, operands = self._application(expression)
        parts = [self.linear(operand) for operand in operands]
        if operator == "-" and len(parts) == 1:
            return Linear().plus(parts[0], -1)
        if not parts or operator not in ("+", "-", "*", "/"):
            raise DataError(f"'{_shown(expression)}' is not a linear term.")
        total = parts[0]
        for part in parts[1:]:
            if operator == "*":
                total = total.times(part, f"'{_shown(expression)}'")
            elif operator == "/":
                if part.coefficients or not part.constant:
                    raise DataError(f"'{_shown(expression)}' does not divide by a number other than zero.")
                total = Linear().plus(total, 1 / part.constant)
            else:
                total = total.plus(part, 1 if operator == "+" else -1)
        return total

    def _leaf(self, word: str) -> Linear:
        value = number(word)
        if value is not None:
            return Linear({}, value)
        match = _VARIABLE.fullmatch(word)
        if match is None or int(match[2]) >= (self.inputs if match[1] == "X" else self.outputs):
            raise DataError(f"'{word[:60]}' is neither a number nor a declared input X_i or output Y_j.")
        return Linear({int(match[2]) + (self.inputs if match[1] == "Y" else 0): Fraction(1)})

    def _application(self, expression: Expression) -> tuple[str, list[Expression]]:
        if isinstance(expression, list) and expression and isinstance(expression[0], str):
            return expression[0], expression[1:]
        raise DataError(f"'{_shown(expression)}' is not understood.")


def _shown(expression: Expression) -> str:
    """The expression as text, cut where it is long."""
    text = expression if isinstance(expression, str) else f"({' '.join(map(_shown, expression[:8]))})"
    return text if len(text) <= 80 else text[:77] + "…"
