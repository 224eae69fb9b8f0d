"""Bars side by side: several distributions over the same bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autodual.report.numbers import number
from autodual.report.page.charts.axes import Scale, axis, horizontal_axis
from autodual.report.page.charts.chart import FRAME, Bar, Chart, LegendEntry


def grouped_bars(
    series: Mapping[str, Sequence[float]], colours: Sequence[str], horizontal: str, vertical: str
) -> Chart | None:
    """A bar for each series in each of its bins, which divide [0, 1] evenly; None where all are empty.

    Args:
        series: how much falls into each bin, from the first to the last, by the name that the legend shows.
        colours: colour classes of the style sheet, one a series.
        horizontal: what the horizontal axis shows.
        vertical: what the vertical axis shows.
    """
    top = max((value for values in series.values() for value in values), default=0.0)
    if top <= 0:
        return None
    x, y = Scale(0, 1, FRAME.left, FRAME.right), Scale(0, top, FRAME.bottom, FRAME.top)
    bars = []
    for place, (name, values) in enumerate(series.items()):
        width = 1 / len(values)
        for position, value in enumerate(values):
            left = (position + (0.05 + 0.9 * place / len(series))) * width
            words = f"{number(position * width, 3)} to {number((position + 1) * width, 3)}: {number(value, 3)} {name}"
            wide = x(left + 0.9 * width / len(series)) - x(left)
            bars.append(Bar(x(left), y(value), wide, FRAME.bottom - y(value), colours[place], words))
    return Chart(
        title=f"Histogram: {horizontal}",
        horizontal=horizontal_axis(x, horizontal),
        vertical=axis(y, y.ticks(4), vertical),
        bars=bars,
        legend=[LegendEntry(name, colour) for name, colour in zip(series, colours)],
    )
