"""The frame of a plot: from values to pixels, axes and ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autodual.report.page.markup import Markup, tag
from autodual.report.page.numbers import number

WIDTH, HEIGHT = 720, 230
LEFT, RIGHT, TOP, BOTTOM = 64, 14, 12, 54


@dataclass(frozen=True)
class Scale:
    """From values in [low, high] to pixels in [start, stop], in proportion to the values or to their logarithms.

    What lies below `low` on a logarithmic scale, zero too, is drawn at its end.
    """

    low: float
    high: float
    start: float
    stop: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        return self.start + self._share(value) * (self.stop - self.start)

    def _share(self, value: float) -> float:
        if self.logarithmic:
            return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, wanted: int) -> list[float]:
        """Round numbers on the scale, about as many as wanted."""
        if not self.logarithmic:
            return ticks(self.low, self.high, wanted)
        found = [value for value in _round_numbers(self.low, self.high) if self.low <= value <= self.high]
        return found[:: max(1, math.ceil(len(found) / (2 * wanted)))]


def horizontal_axis(x: Scale, caption: str, *, whole: bool = False) -> list[Markup]:
    """The line below, its ticks and what it shows; `whole` numbers alone where nothing lies between them."""
    base = HEIGHT - BOTTOM
    parts = [tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=base, y2=base, class_="axis")]
    for place, value in enumerate(ticks(x.low, x.high, smallest=1.0 if whole else 0.0)):
        words = number(value, 3)
        parts.append(tag("text", words, x=at(x(value)), y=base + 20, text_anchor="middle", class_=_finer(place)))
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [*parts, tag("text", caption, x=at(middle), y=HEIGHT - 6, text_anchor="middle")]


def vertical_axis(y: Scale, values: Sequence[float], noun: str) -> list[Markup]:
    """Lines across at these values, and what the axis shows."""
    parts = []
    for place, value in enumerate(values):
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at(y(value)), y2=at(y(value)), class_="axis"))
        parts.append(
            tag("text", number(value, 3), x=LEFT - 6, y=at(y(value) + 4), text_anchor="end", class_=_finer(place))
        )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f"rotate(-90 12 {at(middle)})"
    return [*parts, tag("text", noun, x=12, y=at(middle), text_anchor="middle", transform=turned)]


def _finer(place: int) -> str | None:
    """Every other number on an axis is left out on a narrow screen, where letters are larger beside the picture."""
    return "finer" if place % 2 else None


def ticks(low: float, high: float, wanted: int = 7, smallest: float = 0.0) -> list[float]:
    """Round numbers in [low, high], about as many as wanted, no closer to one another than `smallest`."""
    rough = max((high - low) / wanted, smallest)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def round_range(low: float, high: float) -> tuple[float, float]:
    """The closest 1, 2 or 5 times a power of ten below `low` > 0, and the closest one at or above `high`."""
    numbers = _round_numbers(low, high)
    return max(value for value in numbers if value < low), min(value for value in numbers if value >= high)


def _round_numbers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten from below `low` to above `high`, in order."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    return [float(f"{factor}e{power}") for power in powers for factor in (1, 2, 5)]


def at(value: float) -> str:
    """A place in pixels, as SVG takes it."""
    return f"{value:.1f}"
