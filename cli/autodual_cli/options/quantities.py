"""Parameter types of the command line: fractions, probabilities, lists of numbers, norms, shapes, memory."""

from __future__ import annotations

import math
import re
from typing import Any, NoReturn

import click

from autodual.errors import InvalidInputError
from autodual.perturbations.registry.registered_sets import canonical_name
from autodual_cli.options.option_wording import in_options

_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B|B)?", re.IGNORECASE)
_MOST_NUMBERS = 2**26
"""Of one sample; two of them, which a network is tried on, take half a gibibyte."""

_MOST_AXES = 60
_SHOWN = 60
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


class _Quantity(click.ParamType):
    """A parameter type whose messages quote at most one line of what was typed."""

    def refuse(self, value: Any, reason: str, param: click.Parameter | None, ctx: click.Context | None) -> NoReturn:
        """Fail with the value, shortened, and what is wrong with it."""
        text = str(value)
        self.fail(f"'{text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}' {reason}", param, ctx)


class Number(_Quantity):
    """A finite number, possibly a fraction such as 2/255."""

    name = "number"

    def __init__(self, minimum: float = -math.inf, maximum: float = math.inf) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            numerator, slash, denominator = str(value).partition("/")
            number = float(numerator) / float(denominator) if slash else float(numerator)
        except (ValueError, ZeroDivisionError):
            self.refuse(value, "is neither a number nor a fraction such as 2/255.", param, ctx)
        if not math.isfinite(number):
            self.refuse(value, "is not finite.", param, ctx)
        if number < self.minimum:
            self.refuse(value, f"is below {self.minimum:g}.", param, ctx)
        if number > self.maximum:
            self.refuse(value, f"is above {self.maximum:g}.", param, ctx)
        return number


class Probability(_Quantity):
    """A number, possibly a fraction, strictly between 0 and 1: neither impossible nor certain."""

    name = "probability"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = Number().convert(value, param, ctx)
        # A number so near 0 that its complement rounds to 1 is refused, too.
        if not (0 < number < 1 and 1 - number < 1):
            self.refuse(value, "is not strictly between 0 and 1.", param, ctx)
        return number


class Numbers(_Quantity):
    """Numbers separated by commas."""

    name = "numbers"

    def __init__(self, count: int | None = None, positive: bool = False) -> None:
        self.count = count
        self.positive = positive

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        numbers = tuple(Number().convert(part.strip(), param, ctx) for part in str(value).split(","))
        if self.count is not None and len(numbers) != self.count:
            self.refuse(value, f"holds {len(numbers)} numbers, expected {self.count}.", param, ctx)
        if self.positive and min(numbers) <= 0:
            self.refuse(value, "must hold positive numbers only.", param, ctx)
        return numbers


class Norm(_Quantity):
    """A registered perturbation set: linf, l2, l1, a number p >= 1 or another; the value is the set's name."""

    name = "norm"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return canonical_name(str(value))
        except InvalidInputError as error:
            self.fail(f"{in_options(str(error))}.", param, ctx)


class AttackChoice(_Quantity):
    """Steps of projected gradient descent, or a registered attack as `NAME:FIELD=VALUE,…`, which is left as it is."""

    name = "attack"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        text = str(value)
        if re.fullmatch(r"[a-z][^\x00-\x1f]*", text):
            return text
        return click.IntRange(min=1).convert(value, param, ctx)


class Shape(_Quantity):
    """Extents separated by commas, the batch axis left out."""

    name = "shape"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        extents = [int(part) if re.fullmatch(r"\s*[0-9]{1,18}\s*", part) else 0 for part in parts]
        if min(extents) < 1:
            self.refuse(value, "is no shape; expected positive extents such as 1,28,28.", param, ctx)
        if len(extents) > _MOST_AXES or math.prod(extents) > _MOST_NUMBERS:
            self.refuse(value, f"is more than a sample can be: {_MOST_NUMBERS} numbers.", param, ctx)
        return tuple(extents)


class Memory(_Quantity):
    """An amount of memory such as 512MiB or 2GB, in bytes."""

    name = "memory"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _MEMORY.fullmatch(str(value).strip())
        if match is None or len(match[1]) > _SHOWN:
            self.refuse(value, "is no amount of memory; expected for example 512MiB or 2GB.", param, ctx)
        unit = (match[2] or "B").upper()
        amount = int(float(match[1]) * (1024 if "I" in unit else 1000) ** _POWERS.get(unit[0], 0))
        if amount == 0:
            self.fail("the memory budget must be positive.", param, ctx)
        return amount
