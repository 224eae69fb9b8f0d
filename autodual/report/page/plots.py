"""Plots as inline SVG, drawn from numbers; their colours are those of the style sheet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from autodual.report.page.axes import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Scale,
    at,
    horizontal_axis,
    ticks,
    vertical_axis,
)
from autodual.report.page.markup import Markup, join, tag
from autodual.report.page.numbers import number
from autodual.report.page.style import style_class

_BINS = 40
# Values further than this many interquartile ranges from the quartiles share the outermost bins.
_FAR = 3.0
_HUGE = 1e100


def histogram(values: Sequence[tuple[float, str]], caption: str, noun: str) -> Markup:
    """How many of the finite `values` fall where, stacked by the verdict each comes with; zero is always shown.

    caption: what the horizontal axis shows. noun: what is counted.
    """
    low, width, count = _bins([value for value, _ in values])
    high = low + count * width
    bins: list[Counter[str]] = [Counter() for _ in range(count)]
    for value, verdict in values:
        place = min(max((_tamed(value) - low) / width, 0), count - 1)
        bins[math.floor(place)][verdict] += 1
    top = max(sum(counter.values()) for counter in bins)
    x, y = Scale(low, high, LEFT, WIDTH - RIGHT), Scale(0, top, HEIGHT - BOTTOM, TOP)
    order = sorted({verdict for _, verdict in values})
    bars = []
    for position, counter in enumerate(bins):
        left, right = low + position * width, low + (position + 1) * width
        below = 0
        for verdict in order:
            if counter[verdict]:
                span = f"{number(left, 3)} to {number(right, 3)}: {counter[verdict]} {verdict}"
                bars.append(_bar(x(left), x(right), y(below), y(below + counter[verdict]), verdict, span))
                below += counter[verdict]
    parts = [*horizontal_axis(x, caption), *vertical_axis(y, _counts(top), noun), *bars]
    if low < 0 < high:
        parts.append(tag("line", x1=at(x(0)), x2=at(x(0)), y1=TOP, y2=HEIGHT - BOTTOM, class_="zero"))
    title = f"Histogram: {caption}"
    return tag("svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=title)


def _counts(top: int) -> list[int]:
    """Whole numbers up to `top`, for the ticks."""
    return sorted({round(value) for value in ticks(0, top, 4)})


def beyond(values: Sequence[float]) -> int:
    """How many values lie outside the range that `histogram` shows."""
    low, width, count = _bins(values)
    return sum(not low <= value <= low + count * width for value in values)


def _bins(values: Sequence[float]) -> tuple[float, float, int]:
    """Where the first bin begins, how wide bins are and how many there are; zero is never inside a bin."""
    low, high = _range(values)
    width = (high - low) / _BINS
    first, last = math.floor(low / width), math.ceil(high / width)
    return first * width, width, max(last - first, 1)


def legend(verdicts: Sequence[str]) -> Markup:
    """The colours of the verdicts."""
    items = [tag("span", tag("i", class_=style_class(verdict)), f" {verdict}") for verdict in verdicts]
    return tag("div", join(items), class_="legend")


def _range(values: Sequence[float]) -> tuple[float, float]:
    """The values' range and zero, its far ends cut off, so that one huge value does not squeeze all others together."""
    ordered = sorted(map(_tamed, values))
    first, third = ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4]
    reach = _FAR * (third - first)
    low, high = max(ordered[0], first - reach), min(ordered[-1], third + reach)
    low, high = min(low, high, 0.0), max(low, high, 0.0)
    return (low, high) if high - low > 1e-300 else (low - 1.0, high + 1.0)


def _tamed(value: float) -> float:
    """Differences of such numbers are finite."""
    return min(max(value, -_HUGE), _HUGE)


def _bar(left: float, right: float, bottom: float, top: float, verdict: str, words: str) -> Markup:
    return tag(
        "rect",
        tag("title", words),
        x=at(left + 0.5),
        y=at(top),
        width=at(right - left - 1),
        height=at(max(bottom - top, 0.8)),
        class_=style_class(verdict),
    )
