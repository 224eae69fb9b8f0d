"""Line plots: positions of points on linear and logarithmic scales, and colours."""

from __future__ import annotations

import pytest

from autodual.report.page.charts import Chart, line_plot
from autodual.report.page.charts.axes import Scale
from autodual.report.page.charts.chart import FRAME


def test_a_logarithmic_scale_gives_equal_room_to_equal_ratios() -> None:
    scale = Scale(0.01, 1.0, 200.0, 0.0, logarithmic=True)
    assert [scale(value) for value in (0.01, 0.1, 1.0)] == pytest.approx([200.0, 100.0, 0.0])
    assert scale(0.0) == scale(0.001) == 200.0
    assert scale.ticks(4) == pytest.approx([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
    assert Scale(1e-6, 1.0, 0.0, 1.0, logarithmic=True).ticks(4)[0] == pytest.approx(1e-6)
    assert len(Scale(1e-9, 1.0, 0.0, 1.0, logarithmic=True).ticks(4)) <= 8


def heights(chart: Chart | None) -> list[list[float]]:
    """The vertical pixel coordinates of each line's points (0 is at the top)."""
    assert chart is not None
    return [[y for _, y in line.points] for line in chart.lines]


@pytest.mark.parametrize("logarithmic", [False, True])
def test_lines_stay_inside_the_frame_and_have_the_colours_asked_for(logarithmic: bool) -> None:
    series = {"one": [(1, 0.0), (2, 0.5)], "gone": [], "other": [(1, 0.02), (2, float("nan")), (3, 1.0)]}
    drawn = line_plot(series, "epoch", "error", colours=["likely", "bad", "good"], logarithmic=logarithmic)
    found = heights(drawn)
    assert [len(line) for line in found] == [2, 2]
    assert found[0][0] == FRAME.bottom and found[1][1] == FRAME.top
    assert all(FRAME.top <= height <= FRAME.bottom for line in found for height in line)
    assert [(line.name, line.colour) for line in drawn.lines] == [("one", "likely"), ("other", "good")]
    assert [entry.name for entry in drawn.legend] == ["one", "other"]


@pytest.mark.parametrize("values", [[0.52, 0.9], [0.013, 0.016], [0.3, 0.4], [0.2, 0.2], [0.1, 1.0]])
def test_a_logarithmic_scale_always_has_two_ticks_or_more(values: list[float]) -> None:
    drawn = line_plot({"one": list(enumerate(values))}, "epoch", "error", logarithmic=True)
    assert len(drawn.vertical.ticks) >= 2


def test_zero_is_drawn_below_the_least_positive_value() -> None:
    first, second, last = heights(line_plot({"one": [(0, 0.5), (1, 0.02), (2, 0.0)]}, "epoch", "e", logarithmic=True))[
        0
    ]
    assert first < second < last == FRAME.bottom


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("values", [[0.0, 0.0], [0.3, 0.3], [0.7]])
def test_constant_series_are_drawn(values: list[float], logarithmic: bool) -> None:
    points = list(enumerate(values))
    assert len(heights(line_plot({"one": points}, "epoch", "error", logarithmic=logarithmic))[0]) == len(values)


def test_without_finite_values_nothing_is_drawn() -> None:
    assert line_plot({"one": [(1, float("nan"))]}, "epoch", "error") is None
