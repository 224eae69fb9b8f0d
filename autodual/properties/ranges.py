"""Ranges of single inputs in exact arithmetic, and what strict constraints leave of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy

from autodual.errors import DataError
from autodual.properties.formulas import Atom
from autodual.specs.decimals import NumberError, rounded


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, without an end that is open; None where there is no end.

    Example:
        >>> from fractions import Fraction
        >>> from autodual.properties.ranges import Range
        >>> Range(Fraction(1), Fraction(1), high_open=True).empty
        True
    """

    low: Fraction | None = None
    high: Fraction | None = None
    low_open: bool = False
    high_open: bool = False

    def narrowed(self, atom: Atom) -> Range:
        """The numbers that also satisfy a constraint of one input."""
        (coefficient,) = atom.coefficients.values()
        end = atom.bound / coefficient
        if coefficient > 0 and (self.high is None or (end, not atom.strict) < (self.high, not self.high_open)):
            return replace(self, high=end, high_open=atom.strict)
        if coefficient < 0 and (self.low is None or (end, atom.strict) > (self.low, self.low_open)):
            return replace(self, low=end, low_open=atom.strict)
        return self

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Both ends, rounded to float64; infinite where there is none. Raises DataError beyond its numbers."""
        low, high = self.low, self.high
        return -numpy.inf if low is None else float64(low), numpy.inf if high is None else float64(high)

    @property
    def empty(self) -> bool:
        """Whether no number is left, also where float32 rounds the ends."""
        if self.low is None or self.high is None:
            return False
        return self.ends[0] > self.ends[1] or ((self.low_open or self.high_open) and self.low >= self.high)

    def __str__(self) -> str:
        low, high = self.ends
        at_least, at_most = "more than" if self.low_open else "at least", "less than" if self.high_open else "at most"
        return f"{at_least} {low:.9g} and {at_most} {high:.9g}"


def excludes(atom: Atom, ranges: Mapping[int, Range]) -> bool:
    """Whether a strict constraint holds nowhere in ranges, with the numbers as they stand and as float32 rounds them.

    Then its left side is nowhere less than its bound, though it may reach it at a corner.
    """
    return all(
        (least := _least(atom, ranges, reading)) is not None and least >= reading(atom.bound)
        for reading in (lambda value: value, _single)
    )


def _least(atom: Atom, ranges: Mapping[int, Range], reading: Callable[[Fraction], Fraction]) -> Fraction | None:
    """The least that the left side of a constraint can be; None where an end that matters is missing."""
    total = Fraction(0)
    for column, coefficient in atom.coefficients.items():
        range_ = ranges.get(column, Range())
        end = range_.low if coefficient > 0 else range_.high
        if end is None:
            return None
        total += coefficient * reading(end)
    return total


def _single(value: Fraction) -> Fraction:
    """What float32 rounds a number to; itself beyond float32's numbers."""
    with numpy.errstate(over="ignore"):
        found = numpy.float32(float64(value))
    return Fraction(float(found)) if numpy.isfinite(found) else value


def float64(value: Fraction) -> float:
    """A number of a property, rounded; DataError where float64 cannot hold it."""
    try:
        return rounded(value)
    except NumberError as error:
        raise DataError(
            f"a number of the property {error} for float64; rescale the network's inputs or outputs."
        ) from None
