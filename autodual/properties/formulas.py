"""Formulas of linear constraints as both versions of VNN-LIB write them, in exact arithmetic.

Variables are columns: the inputs' entries from 0 on, then the outputs'. Constraints stay fractions until the very end,
so that no coefficient is lost and no constant rounded twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from autodual.errors import DataError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE]([+-]?\d{1,3}))?")
_LONGEST_NUMBER = 400

COMPARISONS = frozenset({"<=", "<", ">=", ">", "=", "==", "!="})


@dataclass(frozen=True)
class Linear:
    """Σ coefficients[column] · variable + constant, without zero coefficients."""

    coefficients: Mapping[int, Fraction] = field(default_factory=dict)
    constant: Fraction = Fraction(0)

    def plus(self, other: Linear, factor: Fraction | int = 1) -> Linear:
        """self + factor · other."""
        if not factor:
            return self
        total = dict(self.coefficients)
        for column, value in other.coefficients.items():
            total[column] = total.get(column, Fraction(0)) + factor * value
        kept = {column: value for column, value in total.items() if value}
        return Linear(kept, self.constant + factor * other.constant)

    def times(self, other: Linear, where: str) -> Linear:
        """The product, of which at most one factor may hold variables; DataError otherwise."""
        if self.coefficients and other.coefficients:
            raise DataError(f"{where} multiplies variables with each other; only linear constraints can be verified.")
        varying, factor = (self, other.constant) if self.coefficients else (other, self.constant)
        return Linear().plus(varying, factor)


@dataclass(frozen=True)
class Atom:
    """Σ coefficients[column] · variable <= bound, or < where strict."""

    coefficients: Mapping[int, Fraction]
    bound: Fraction
    strict: bool


@dataclass(frozen=True)
class And:
    """All of the parts."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True)
class Or:
    """At least one of the parts."""

    parts: tuple[Formula, ...]


Formula: TypeAlias = "Atom | And | Or"


def compare(operator: str, left: Linear, right: Linear) -> Formula | None:
    """The constraint `left operator right`, or None for an operator that compares nothing."""
    if operator in ("<=", "<"):
        difference = left.plus(right, -1)
        return Atom(difference.coefficients, -difference.constant, operator == "<")
    if operator in (">=", ">"):
        return compare("<" if operator == ">" else "<=", right, left)
    pair: Iterable[str] | None = {"=": ("<=", ">="), "==": ("<=", ">="), "!=": ("<", ">")}.get(operator)
    if pair is None:
        return None
    parts = tuple(part for one in pair if (part := compare(one, left, right)) is not None)
    return Or(parts) if operator == "!=" else And(parts)


def number(text: str) -> Fraction | None:
    """The exact value of a decimal, or None where the text is none."""
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    return Fraction(text)
