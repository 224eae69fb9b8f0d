"""Histograms of margins and radii, coloured by verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from autodual.report.numbers import number
from autodual.report.page.charts.axes import Scale, axis, horizontal_axis, ticks
from autodual.report.page.charts.chart import FRAME, Bar, Chart, LegendEntry
from autodual.report.page.colours import verdict_colour

_BINS = 40
# Values further than this many interquartile ranges from the quartiles share the outermost bins.
_FAR = 3.0
_HUGE = 1e100


def histogram(values: Sequence[tuple[float, str]], caption: str, noun: str, verdicts: Sequence[str] = ()) -> Chart:
    """How many of the finite `values` fall into each of about 40 bins, stacked by verdict.

    The horizontal axis always includes zero.

    Args:
        values: numbers with their verdicts.
        caption: what the horizontal axis shows.
        noun: what is counted.
        verdicts: those that the legend names, in its order.
    """
    low, width, count = _bins([value for value, _ in values])
    high = low + count * width
    bins: list[Counter[str]] = [Counter() for _ in range(count)]
    for value, verdict in values:
        place = min(max((_tamed(value) - low) / width, 0), count - 1)
        bins[math.floor(place)][verdict] += 1
    top = max(sum(counter.values()) for counter in bins)
    x, y = Scale(low, high, FRAME.left, FRAME.right), Scale(0, top, FRAME.bottom, FRAME.top)
    bars = [
        bar
        for position, counter in enumerate(bins)
        for bar in _stack(counter, low + position * width, low + (position + 1) * width, x, y)
    ]
    return Chart(
        title=f"Histogram: {caption}",
        horizontal=horizontal_axis(x, caption),
        vertical=axis(y, _counts(top), noun),
        bars=bars,
        zero=x(0) if low < 0 < high else None,
        legend=[LegendEntry(verdict, verdict_colour(verdict)) for verdict in verdicts],
    )


def _stack(counter: Counter[str], left: float, right: float, x: Scale, y: Scale) -> list[Bar]:
    """The bars of one bin, one on top of the other."""
    bars, below = [], 0
    for verdict, count in sorted(counter.items()):
        top, bottom = y(below + count), y(below)
        words = f"{number(left, 3)} to {number(right, 3)}: {count} {verdict}"
        width, height = x(right) - x(left) - 1, max(bottom - top, 0.8)
        bars.append(Bar(x(left) + 0.5, top, width, height, verdict_colour(verdict), words))
        below += count
    return bars


def _counts(top: int) -> list[int]:
    """Ticks at whole numbers up to `top`."""
    return sorted({round(value) for value in ticks(0, top, 4)})


def beyond(values: Sequence[float]) -> int:
    """How many values lie outside the range of the histogram, and so are counted in its outermost bars."""
    low, width, count = _bins(values)
    return sum(not low <= value <= low + count * width for value in values)


def _bins(values: Sequence[float]) -> tuple[float, float, int]:
    """The start of the first bin, the bins' width and their number. Zero is never inside a bin."""
    low, high = _range(values)
    width = (high - low) / _BINS
    first, last = math.floor(low / width), math.ceil(high / width)
    return first * width, width, max(last - first, 1)


def _range(values: Sequence[float]) -> tuple[float, float]:
    """The range of the values and zero, without far outliers: one huge value must not squeeze all others together."""
    ordered = sorted(map(_tamed, values))
    first, third = ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4]
    reach = _FAR * (third - first)
    low, high = max(ordered[0], first - reach), min(ordered[-1], third + reach)
    low, high = min(low, high, 0.0), max(low, high, 0.0)
    return (low, high) if high - low > 1e-300 else (low - 1.0, high + 1.0)


def _tamed(value: float) -> float:
    """The value, limited so that the difference of two such numbers is finite."""
    return min(max(value, -_HUGE), _HUGE)
