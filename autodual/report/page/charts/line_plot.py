"""Line plots: several series over one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autodual.report.numbers import finite
from autodual.report.page.charts.axes import Scale, axis, horizontal_axis, round_range
from autodual.report.page.charts.chart import FRAME, Chart, LegendEntry, Line

# The colour classes of the style sheet, in the order in which series take them.
COLOURS = ("good", "bad", "open", "other", "likely")

Points = Sequence[tuple[float, float]]


def line_plot(
    series: Mapping[str, Points],
    horizontal: str,
    vertical: str,
    *,
    colours: Sequence[str] = COLOURS,
    logarithmic: bool = False,
) -> Chart | None:
    """Lines through the finite points of each series, in the order given; None if no point is finite.

    Args:
        series: points (x, y) by the name that the legend shows. A single series needs no legend and gets none.
        horizontal: what the horizontal axis shows.
        vertical: what the vertical axis shows.
        colours: colour classes of the style sheet, in the order in which the series take them.
        logarithmic: whether the vertical scale is logarithmic; zero is then drawn at its lower end.
    """
    known = {
        name: [(x, y) for x, y in points if finite(x) is not None and finite(y) is not None]
        for name, points in series.items()
    }
    known = {name: points for name, points in known.items() if points}
    if not known:
        return None
    colour_of = {name: colours[place % len(colours)] for place, name in enumerate(series)}
    everything = [point for points in known.values() for point in points]
    x = Scale(*_span([point[0] for point in everything]), FRAME.left, FRAME.right)
    y = _vertical([point[1] for point in everything], logarithmic)
    whole = all(float(point[0]).is_integer() for point in everything)
    return Chart(
        title=vertical,
        horizontal=horizontal_axis(x, horizontal, whole=whole),
        vertical=axis(y, y.ticks(4), vertical),
        lines=[
            Line(name, colour_of[name], [(x(one), y(other)) for one, other in points]) for name, points in known.items()
        ],
        legend=[LegendEntry(name, colour_of[name]) for name in known] if len(known) > 1 else [],
    )


def _vertical(values: Sequence[float], logarithmic: bool) -> Scale:
    positive = [value for value in values if value > 0]
    if not (logarithmic and positive):
        return Scale(*_span([0.0, *values]), FRAME.bottom, FRAME.top)
    return Scale(*round_range(min(positive), max(positive)), FRAME.bottom, FRAME.top, logarithmic=True)


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
