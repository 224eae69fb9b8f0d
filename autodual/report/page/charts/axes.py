"""How values become pixels: scales, axes and round numbers for ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autodual.report.numbers import number
from autodual.report.page.charts.chart import Axis, Tick


@dataclass(frozen=True)
class Scale:
    """Maps values in [low, high] to pixels in [start, stop], linearly or by the logarithm.

    On a logarithmic scale, values below `low`, zero included, are drawn at `low`.
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
        """About `wanted` round numbers within the scale."""
        if not self.logarithmic:
            return ticks(self.low, self.high, wanted)
        found = [value for value in _round_numbers(self.low, self.high) if self.low <= value <= self.high]
        return found[:: max(1, math.ceil(len(found) / (2 * wanted)))]


def horizontal_axis(x: Scale, caption: str, *, whole: bool = False) -> Axis:
    """The axis below the chart; with `whole`, ticks are at whole numbers only."""
    return axis(x, ticks(x.low, x.high, smallest=1.0 if whole else 0.0), caption)


def axis(scale: Scale, values: Sequence[float], caption: str) -> Axis:
    """An axis with ticks at these values."""
    return Axis(
        caption,
        [Tick(scale(value), number(value, 3), finer=place % 2 == 1) for place, value in enumerate(values)],
    )


def ticks(low: float, high: float, wanted: int = 7, smallest: float = 0.0) -> list[float]:
    """About `wanted` round numbers in [low, high], at least `smallest` apart."""
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
