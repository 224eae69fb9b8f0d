"""One parameter of a registered set: its name, its type and its range, as options, recipes and documents spell it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from autodual.errors import InvalidInputError
from autodual.number_ranges import LARGEST, TYPE_WORDS, Range, shown

#: The default of a parameter that must be given.
REQUIRED: Any = ...
_FINITE = Range(-LARGEST, LARGEST)


@dataclass(frozen=True)
class SetParameter:
    """A parameter of a set other than its radius and its domain.

    Args:
        name: that of the class's field; the command line spells it `--name`, with dashes for underscores.
        kind: `float`, `int`, `bool` or `str`.
        help: what it is, in a few words, with its unit if it has one.
        default: its value if none is given; without a default it must be given.
        range: the numbers it may take; by default all finite ones.
        choices: the words it may be.
        many: whether it is a list of such values, such as one per channel.
        bounding: whether it says how the set is bounded, and not which points it has. What a network was trained for
            is the points: commands that read the set from a network's file leave such a parameter at its default.

    Example:
        >>> from autodual.perturbations import SetParameter
        >>> from autodual.number_ranges import Range
        >>> window = SetParameter("window", int, "Side of a square, in pixels.", default=5, range=Range(1, 99))
        >>> window.parsed("7"), window.option
        (7, '--window')
    """

    name: str
    kind: type
    help: str
    default: Any = REQUIRED
    range: Range = _FINITE
    choices: tuple[str, ...] = ()
    many: bool = False
    bounding: bool = False

    @property
    def option(self) -> str:
        """The option's spelling on the command line."""
        return f"--{self.name.replace('_', '-')}"

    def parsed(self, value: Any) -> Any:
        """The value, read from text if need be, and checked.

        Args:
            value: a plain JSON value, or text: a number, a fraction such as 2/255, or several separated by commas.

        Raises:
            InvalidInputError: this parameter cannot take the value.
        """
        if self.many:
            parts = value.split(",") if isinstance(value, str) else value
            if not isinstance(parts, (list, tuple)) or not parts:
                raise InvalidInputError(f"'{self.name}' must be a list, not {shown(value)}")
            return tuple(self._one(part.strip() if isinstance(part, str) else part) for part in parts)
        return self._one(value)

    def _one(self, value: Any) -> Any:
        found: Any = self._from_text(value) if isinstance(value, str) and self.kind is not str else value
        if self.kind is float and type(found) is int and abs(found) < LARGEST:
            found = float(found)
        if type(found) is not self.kind:
            raise InvalidInputError(f"'{self.name}' must be {TYPE_WORDS[self.kind]}, not {shown(value)}")
        if self.choices and found not in self.choices:
            raise InvalidInputError(f"'{self.name}' must be one of {', '.join(self.choices)}, not {shown(value)}")
        if self.kind in (float, int):
            self.range.require(self.name, found)
        if isinstance(found, str) and not (found.isprintable() and len(found) <= 1000):
            raise InvalidInputError(f"'{self.name}' must be a string of printable letters, not {shown(value)}")
        return found

    def _from_text(self, text: str) -> Any:
        """Typed text as a number, true or false; the text itself if it is none of these."""
        numerator, slash, denominator = text.partition("/")
        try:
            if self.kind is float:
                return float(numerator) / float(denominator) if slash else float(text)
            return json.loads(text)
        except (ValueError, ZeroDivisionError, RecursionError):
            return text
