"""Line plots as inline SVG: several series over one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    round_range,
    vertical_axis,
)
from autodual.report.page.markup import Markup, join, tag
from autodual.report.page.numbers import finite

# The colour classes of the style sheet, in the order in which series take them.
COLOURS = ("good", "bad", "open", "other", "likely")

Points = Sequence[tuple[float, float]]


def curves(
    series: Mapping[str, Points],
    horizontal: str,
    vertical: str,
    *,
    colours: Sequence[str] = COLOURS,
    logarithmic: bool = False,
) -> Markup:
    """Lines through the finite points of each series, in order, with a legend; nothing where there are none.

    colours: classes of the style sheet, in the order in which series take them. logarithmic: the vertical scale, on
    which zero is drawn at the lower end, below all else.
    """
    known = {
        name: [(x, y) for x, y in points if finite(x) is not None and finite(y) is not None]
        for name, points in series.items()
    }
    known = {name: points for name, points in known.items() if points}
    if not known:
        return Markup()
    colour_of = {name: colours[place % len(colours)] for place, name in enumerate(series)}
    everything = [point for points in known.values() for point in points]
    x = Scale(*_span([point[0] for point in everything]), LEFT, WIDTH - RIGHT)
    y = _vertical([point[1] for point in everything], logarithmic)
    lines = [
        tag(
            "polyline",
            points=" ".join(f"{at(x(one))},{at(y(other))}" for one, other in points),
            class_=f"line {colour_of[name]}",
        )
        for name, points in known.items()
    ]
    whole = all(float(point[0]).is_integer() for point in everything)
    frame = [*horizontal_axis(x, horizontal, whole=whole), *vertical_axis(y, y.ticks(4), vertical)]
    names = [tag("span", tag("i", class_=colour_of[name]), f" {name}") for name in known]
    picture = tag("svg", *frame, *lines, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=vertical)
    return join([picture, tag("div", join(names), class_="legend")] if len(known) > 1 else [picture])


def _vertical(values: Sequence[float], logarithmic: bool) -> Scale:
    positive = [value for value in values if value > 0]
    if not (logarithmic and positive):
        return Scale(*_span([0.0, *values]), HEIGHT - BOTTOM, TOP)
    return Scale(*round_range(min(positive), max(positive)), HEIGHT - BOTTOM, TOP, logarithmic=True)


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
