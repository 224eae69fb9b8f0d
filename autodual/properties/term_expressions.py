"""From the tokens of an assertion to its formula, with a stack in place of recursion.

An expression is evaluated when it closes, and only its value is kept, so what `let` names is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from autodual.errors import DataError
from autodual.properties.connectives import Value, applied, cost
from autodual.properties.formulas import And, Formula, Linear, Or, number
from autodual.properties.syntax import Token, excerpt

_TRUTHS: dict[str, Formula] = {"true": And(()), "false": Or(())}
# Coefficients that the expressions of a file may handle, in addition to a few for each token.
_FREE_WORK = 300_000
_WORK_A_TOKEN = 2


class _Frame:
    """An open expression: its operator and the values of its operands so far.

    kind: "term"; in a let, "bindings" (the list) or "binding" (one name and its value). bound: the bindings so far.
    names: the names that a let has defined, until it closes.
    """

    __slots__ = ("bound", "kind", "names", "operator", "start", "values")

    def __init__(self, kind: str, start: int):
        self.kind = kind
        self.start = start
        self.operator: str | None = None
        self.values: list[Value] = []
        self.bound: list[tuple[str, Value]] = []
        self.names: list[str] | None = None


class ExpressionReader:
    """Reads expressions; `variable` gives the column of a variable's name, or None if it is not declared."""

    def __init__(self, text: str, variable: Callable[[str], int | None]):
        self._text = text
        self._variable = variable
        self._scopes: dict[str, list[Value]] = {}
        self._known: dict[str, Linear] = {}
        self._work = _FREE_WORK

    def read(self, tokens: Iterator[Token], start: int) -> list[Value]:
        """The values of all expressions up to the parenthesis that closes the one at `start`.

        Raises:
            DataError: an expression is not understood, or is not linear.
        """
        outer = _Frame("term", start)
        stack = [outer]
        for word, place, _ in tokens:
            self._work += _WORK_A_TOKEN
            frame = stack[-1]
            if word == "(":
                stack.append(self._opened(frame, place))
            elif word != ")":
                self._word(frame, word, place, first=frame is not outer)
            elif frame is outer:
                return outer.values
            else:
                stack.pop()
                self._closed(frame, stack[-1], place + 1)
        raise DataError("the property ends within an expression; the file is truncated.")

    def _opened(self, frame: _Frame, start: int) -> _Frame:
        if frame.kind == "bindings":
            return _Frame("binding", start)
        return _Frame("bindings" if frame.operator == "let" and frame.names is None else "term", start)

    def _word(self, frame: _Frame, word: str, start: int, *, first: bool) -> None:
        if frame.kind == "bindings" or (frame.operator == "let" and frame.names is None):
            raise self._misunderstood(frame, start + len(word))
        if first and frame.operator is None and not frame.values:
            frame.operator = word
        else:
            frame.values.append(self._named(word))

    def _closed(self, frame: _Frame, outer: _Frame, end: int) -> None:
        """Pass the value of a closed frame to the frame around it."""
        if frame.kind == "binding":
            if frame.operator is None or len(frame.values) != 1 or not _is_name(frame.operator):
                raise self._misunderstood(frame, end)
            outer.bound.append((frame.operator, frame.values[0]))
        elif frame.kind == "bindings":
            outer.names = [name for name, _ in frame.bound]
            if len(set(outer.names)) < len(frame.bound) or not frame.bound:
                raise self._misunderstood(frame, end)
            for name, value in frame.bound:
                self._scopes.setdefault(name, []).append(value)
        elif frame.operator == "let":
            if frame.names is None or len(frame.values) != 1:
                raise self._misunderstood(frame, end)
            for name in frame.names:
                self._scopes[name].pop()
            outer.values.append(frame.values[0])
        else:
            outer.values.append(self._applied(frame, end))

    def _applied(self, frame: _Frame, end: int) -> Value:
        if frame.operator is None:
            raise self._misunderstood(frame, end)
        self._work -= cost(frame.operator, frame.values)
        if self._work < 0:
            raise DataError("the property repeats long sums many times over; simplify it.")
        return applied(frame.operator, frame.values, lambda: excerpt(self._text, frame.start, end))

    def _named(self, word: str) -> Value:
        """The value of a word: from the innermost let that names it, else a truth value, a number or a variable."""
        if scope := self._scopes.get(word):
            return scope[-1]
        if word in _TRUTHS:
            return _TRUTHS[word]
        if word not in self._known:
            if (value := number(word)) is not None:
                return Linear({}, value)
            if (column := self._variable(word)) is None:
                raise DataError(f"'{word[:60]}' is neither a number nor a declared input X_i or output Y_j.")
            self._known[word] = Linear({column: Fraction(1)})
        return self._known[word]

    def _misunderstood(self, frame: _Frame, end: int) -> DataError:
        return DataError(f"'{excerpt(self._text, frame.start, end)}' is not understood.")


def _is_name(word: str) -> bool:
    return number(word) is None and word not in _TRUTHS
