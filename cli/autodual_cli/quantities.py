"""Parameter types of the command line: fractions, probabilities, lists of numbers, norms, shapes, memory."""

from __future__ import annotations

import math
import re
from typing import Any

import click

_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B|B)?", re.IGNORECASE)
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


class Number(click.ParamType):
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
            self.fail(f"'{value}' is neither a number nor a fraction such as 2/255.", param, ctx)
        if not math.isfinite(number):
            self.fail(f"'{value}' is not finite.", param, ctx)
        if number < self.minimum:
            self.fail(f"'{value}' is below {self.minimum:g}.", param, ctx)
        if number > self.maximum:
            self.fail(f"'{value}' is above {self.maximum:g}.", param, ctx)
        return number


class Probability(click.ParamType):
    """A number, possibly a fraction, strictly between 0 and 1: neither impossible nor certain."""

    name = "probability"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = Number().convert(value, param, ctx)
        # What is so near to 0 that the rest rounds to 1 is no probability to reckon with either.
        if not (0 < number < 1 and 1 - number < 1):
            self.fail(f"'{value}' is not strictly between 0 and 1.", param, ctx)
        return number


class Numbers(click.ParamType):
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
            self.fail(f"'{value}' holds {len(numbers)} numbers, expected {self.count}.", param, ctx)
        if self.positive and min(numbers) <= 0:
            self.fail(f"'{value}' must hold positive numbers only.", param, ctx)
        return numbers


class Norm(click.ParamType):
    """linf, l2, l1, or a number p >= 1; the value is p, infinity for linf."""

    name = "norm"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value).lower().removeprefix("l")
        try:
            p = float(text)
        except ValueError:
            p = math.nan
        if not p >= 1:
            self.fail(f"'{value}' is no norm; expected linf, l2, l1 or a number p >= 1.", param, ctx)
        return p


class Shape(click.ParamType):
    """Extents separated by commas, the batch axis left out."""

    name = "shape"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
            self.fail(f"'{value}' is no shape; expected positive extents such as 1,28,28.", param, ctx)
        return tuple(int(part) for part in parts)


class Memory(click.ParamType):
    """An amount of memory such as 512MiB or 2GB, in bytes."""

    name = "memory"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _MEMORY.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"'{value}' is no amount of memory; expected for example 512MiB or 2GB.", param, ctx)
        unit = (match[2] or "B").upper()
        amount = int(float(match[1]) * (1024 if "I" in unit else 1000) ** _POWERS.get(unit[0], 0))
        if amount == 0:
            self.fail("the memory budget must be positive.", param, ctx)
        return amount
