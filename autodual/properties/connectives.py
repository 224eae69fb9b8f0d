"""SMT-LIB's operators, applied to formulas and linear terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations, pairwise
from math import prod
from typing import TypeAlias

from autodual.errors import DataError
from autodual.properties.formulas import COMPARISONS, And, Formula, Linear, Not, Or, compare

Value: TypeAlias = "Formula | Linear"
_ARITHMETIC = frozenset({"+", "-", "*", "/"})
# Terms of one `distinct`, which compares all pairs.
_MOST_DISTINCT = 200


def cost(operator: str, values: Sequence[Value]) -> int:
    """The number of coefficients that `applied` handles."""
    sizes = [len(value.coefficients) for value in values if isinstance(value, Linear)]
    if operator == "*":
        return prod(max(size, 1) for size in sizes)
    return sum(sizes) * (len(values) if operator == "distinct" else 1)


def applied(operator: str, values: Sequence[Value], where: Callable[[], str]) -> Value:
    """The value of an operator on its operands; `where` gives the expression for messages.

    Raises:
        DataError: the operator is unknown, its operands do not fit, or the result is too large.
    """
    terms = [value for value in values if isinstance(value, Linear)]
    formulas = [value for value in values if not isinstance(value, Linear)]
    found: Value | None = None
    if terms and not formulas:
        found = _of_terms(operator, terms, where)
    elif not terms:
        found = _of_formulas(operator, formulas)
    if found is None:
        raise DataError(
            f"'{where()}' is not understood; use and, or, not, =>, let, comparisons <=, <, >=, >, =, distinct of two "
            "or more terms, and +, -, *, / of numbers and variables."
        )
    return found


def _of_formulas(operator: str, parts: list[Formula]) -> Formula | None:
    if operator == "and":
        return And(tuple(parts))
    if operator == "or":
        return Or(tuple(parts))
    if operator == "not" and len(parts) == 1:
        return Not(parts[0])
    if operator == "ite" and len(parts) == 3:
        condition, then, otherwise = parts
        return And((Or((Not(condition), then)), Or((condition, otherwise))))
    if len(parts) < 2:
        return None
    if operator == "=>":
        return Or((*(Not(part) for part in parts[:-1]), parts[-1]))
    if operator == "=":
        return And(tuple(_alike(left, right) for left, right in pairwise(parts)))
    if operator == "xor":
        found = parts[0]
        for part in parts[1:]:
            found = Not(_alike(found, part))
        return found
    if operator == "distinct":
        # Of three truth values, two are equal.
        return Not(_alike(*parts)) if len(parts) == 2 else Or(())
    return None


def _alike(left: Formula, right: Formula) -> Formula:
    """left = right."""
    return And((Or((Not(left), right)), Or((left, Not(right)))))


def _of_terms(operator: str, terms: list[Linear], where: Callable[[], str]) -> Value | None:
    if operator in _ARITHMETIC:
        return _computed(operator, terms, where)
    if len(terms) < 2:
        return None
    if operator == "distinct":
        if len(terms) > _MOST_DISTINCT:
            raise DataError(f"'{where()}' compares more than {_MOST_DISTINCT} terms with each other; use fewer.")
        pairs, operator = list(combinations(terms, 2)), "!="
    elif operator == "!=" and len(terms) > 2:
        return None
    else:
        pairs = list(pairwise(terms))
    if operator not in COMPARISONS:
        return None
    parts = tuple(part for left, right in pairs if (part := compare(operator, left, right)) is not None)
    return parts[0] if len(parts) == 1 else And(parts)


def _computed(operator: str, terms: list[Linear], where: Callable[[], str]) -> Linear:
    first, *others = terms
    if operator == "+":
        return Linear.total(terms, [1] * len(terms)).checked()
    if operator == "-":
        return Linear.total(terms, [1, *[-1] * len(others)] if others else [-1]).checked()
    for other in others:
        if operator == "/":
            if other.coefficients or not other.constant:
                raise DataError(f"'{where()}' must divide by a number other than zero.")
            other = Linear({}, Fraction(1) / other.constant)
        first = first.times(other, where)
    return first
