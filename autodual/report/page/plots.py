"""Plots as inline SVG, drawn from numbers; their colours are those of the style sheet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from autodual.report.page.markup import Markup, join, tag
from autodual.report.page.numbers import number
from autodual.report.page.style import style_class

_WIDTH, _HEIGHT = 720, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 42
_BINS = 40
# Values further than this many interquartile ranges from the quartiles share the outermost bins.
_FAR = 3.0
_HUGE = 1e100


@dataclass(frozen=True)
class _Scale:
    """From values in [low, high] to pixels in [start, stop]."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


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
    x, y = _Scale(low, high, _LEFT, _WIDTH - _RIGHT), _Scale(0, top, _HEIGHT - _BOTTOM, _TOP)
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
    parts = [*_horizontal_axis(x, caption), *_vertical_axis(y, top, noun), *bars]
    if low < 0 < high:
        parts.append(tag("line", x1=_at(x(0)), x2=_at(x(0)), y1=_TOP, y2=_HEIGHT - _BOTTOM, class_="zero"))
    title = f"Histogram: {caption}"
    return tag("svg", *parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=title)


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
        x=_at(left + 0.5),
        y=_at(top),
        width=_at(right - left - 1),
        height=_at(max(bottom - top, 0.8)),
        class_=style_class(verdict),
    )


def _horizontal_axis(x: _Scale, caption: str) -> list[Markup]:
    base = _HEIGHT - _BOTTOM
    parts = [tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=base, y2=base, class_="axis")]
    for value in _ticks(x.low, x.high):
        parts.append(tag("text", number(value, 3), x=_at(x(value)), y=base + 16, text_anchor="middle"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return [*parts, tag("text", caption, x=_at(middle), y=_HEIGHT - 6, text_anchor="middle")]


def _vertical_axis(y: _Scale, top: int, noun: str) -> list[Markup]:
    parts = []
    for value in sorted({round(value) for value in _ticks(0, top, 4)}):
        parts.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=_at(y(value)), y2=_at(y(value)), class_="axis"))
        parts.append(tag("text", f"{value:,}", x=_LEFT - 6, y=_at(y(value) + 4), text_anchor="end"))
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    turned = f"rotate(-90 12 {_at(middle)})"
    return [*parts, tag("text", noun, x=12, y=_at(middle), text_anchor="middle", transform=turned)]


def _ticks(low: float, high: float, wanted: int = 7) -> list[float]:
    """Round numbers in [low, high], about as many as wanted."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _at(value: float) -> str:
    return f"{value:.1f}"
