"""The range of an option: written once and checked wherever the option is set."""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass
from typing import Any

from autodual.errors import InvalidInputError

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxtuple, _SHORT.maxdict, _SHORT.maxstring = 2, 3, 3, 3, 40

# Larger than any sensible option, and well within float32.
LARGEST = 1e30

#: The words for the types of plain values in messages.
TYPE_WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "a string", type(None): "nothing"}


@dataclass(frozen=True)
class Range:
    """Numbers from `least` to `most`, except NaN and those in `excluded`.

    Example:
        >>> from autodual.number_ranges import Range
        >>> Range(0, 1, excluded=(0,)).require("eps", 0.5)
    """

    least: float
    most: float = math.inf
    excluded: tuple[float, ...] = ()

    def require(self, where: str, value: Any) -> None:
        """Check that a number is in the range.

        Args:
            where: the option's name, for the message.
            value: a number, or a schedule, all of whose values are checked.

        Raises:
            InvalidInputError: it is not.
        """
        for number in getattr(value, "extremes", (value,)):
            if not self._holds(number):
                raise InvalidInputError(f"'{where}' must be {self._words}, not {shown(number)}")

    def _holds(self, number: Any) -> bool:
        try:
            return bool(self.least <= number <= self.most) and number not in self.excluded
        except (TypeError, RuntimeError):  # not a number, or a tensor with several
            return False

    @property
    def _words(self) -> str:
        parts = [f"{'above' if self.least in self.excluded else 'at least'} {self.least:.12g}"]
        if math.isfinite(self.most):
            parts.append(f"{'below' if self.most in self.excluded else 'at most'} {self.most:.12g}")
        return " and ".join(parts)


def shown(value: Any) -> str:
    """A short form of any value, for messages.

    Args:
        value: anything.

    Example:
        >>> from autodual.number_ranges import shown
        >>> shown(list(range(100)))
        '[0, 1, 2, ...]'
    """
    try:
        text = _SHORT.repr(value)
    except ValueError:  # whole numbers of thousands of digits
        text = "a number of too many digits"
    return text if len(text) <= 60 else f"{text[:59]}…"
