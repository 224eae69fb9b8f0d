"""Formulas of polynomial constraints in exact arithmetic, for both versions of VNN-LIB.

Variables are columns: inputs from 0 on, outputs from `OUTPUTS` on, and products of them, which `monomials.py` numbers.
Constraints stay fractions until the very end, so that no coefficient is lost and no constant is rounded twice. Formulas
may share parts, so that a definition used often takes no more memory than one used once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from autodual.errors import DataError
from autodual.properties.monomials import product

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE]([+-]?\d{1,3}))?")
_LONGEST_NUMBER = 400
# Bits of a fraction; products of sensible numbers come nowhere near this.
_MOST_BITS = 20_000
# Monomials of one product of two sums that both hold variables.
_MOST_PRODUCTS = 1_000

COMPARISONS = frozenset({"<=", "<", ">=", ">", "=", "==", "!="})


@dataclass(frozen=True, slots=True)
class Linear:
    """Σ coefficients[column] · variable + constant, without zero coefficients."""

    coefficients: Mapping[int, Fraction] = field(default_factory=dict)
    constant: Fraction = Fraction(0)

    @classmethod
    def total(cls, terms: Iterable[Linear], factors: Iterable[Fraction | int]) -> Linear:
        """Σ factor · term, with one factor for each term."""
        sums: dict[int, Fraction] = {}
        constant = Fraction(0)
        for term, factor in zip(terms, factors, strict=True):
            for column, value in term.coefficients.items():
                part = value if factor == 1 else -value if factor == -1 else factor * value
                sums[column] = sums[column] + part if column in sums else part
            if term.constant:
                constant += factor * term.constant
        return cls({column: value for column, value in sums.items() if value}, constant)

    def times(self, other: Linear, where: Callable[[], str]) -> Linear:
        """The product, where products of variables are columns of their own.

        Raises:
            DataError: it has too many of them, or one of too many variables.
        """
        if not (self.coefficients and other.coefficients):
            varying, factor = (self, other.constant) if self.coefficients else (other, self.constant)
            return Linear.total((varying,), (factor,)).checked()
        if len(self.coefficients) * len(other.coefficients) > _MOST_PRODUCTS:
            raise DataError(f"'{where()}' multiplies sums of many variables; at most {_MOST_PRODUCTS} products of "
                            "variables can come of one.")  # fmt: skip
        sums: dict[int, Fraction] = {}
        for left, factor in self.coefficients.items():
            for right, value in other.coefficients.items():
                column = product(left, right)
                sums[column] = sums.get(column, Fraction(0)) + factor * value
        mixed = Linear({column: value for column, value in sums.items() if value}, self.constant * other.constant)
        apart = (Linear(self.coefficients), Linear(other.coefficients))
        return Linear.total((mixed, *apart), (1, other.constant, self.constant)).checked()

    def checked(self) -> Linear:
        """This term; DataError if a number in it has thousands of digits."""
        for value in (self.constant, *self.coefficients.values()):
            if value.numerator.bit_length() + value.denominator.bit_length() > _MOST_BITS:
                raise DataError("the property computes a number with thousands of digits; write shorter ones.")
        return self


@dataclass(frozen=True, eq=False, slots=True)
class Atom:
    """Σ coefficients[column] · variable <= bound, or < where strict."""

    coefficients: Mapping[int, Fraction]
    bound: Fraction
    strict: bool

    @property
    def negated(self) -> Atom:
        """The negation: -Σ coefficients · variable <= -bound, strict if this is not."""
        return Atom({column: -value for column, value in self.coefficients.items()}, -self.bound, not self.strict)


@dataclass(frozen=True, eq=False, slots=True)
class And:
    """All of the parts."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Or:
    """At least one of the parts."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Not:
    """Not the part."""

    part: Formula


Formula: TypeAlias = "Atom | And | Or | Not"


def compare(operator: str, left: Linear, right: Linear) -> Formula | None:
    """The constraint `left operator right`; None if the operator is no comparison."""
    if operator in ("<=", "<"):
        difference = Linear.total((left, right), (1, -1))
        return Atom(difference.coefficients, -difference.constant, operator == "<")
    if operator in (">=", ">"):
        return compare("<" if operator == ">" else "<=", right, left)
    pair: Iterable[str] | None = {"=": ("<=", ">="), "==": ("<=", ">="), "!=": ("<", ">")}.get(operator)
    if pair is None:
        return None
    parts = tuple(part for one in pair if (part := compare(one, left, right)) is not None)
    return Or(parts) if operator == "!=" else And(parts)


def number(text: str) -> Fraction | None:
    """The exact value of a decimal; None if the text is not a decimal."""
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    return Fraction(text)
