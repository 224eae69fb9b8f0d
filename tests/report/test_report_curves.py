"""Line plots: where values are drawn, on scales of both kinds, and in which colours."""

from __future__ import annotations

import re

import pytest

from autodual.report.page.axes import BOTTOM, HEIGHT, TOP, Scale
from autodual.report.page.curves import curves


def test_a_logarithmic_scale_gives_equal_room_to_equal_ratios() -> None:
    scale = Scale(0.01, 1.0, 200.0, 0.0, logarithmic=True)
    assert [scale(value) for value in (0.01, 0.1, 1.0)] == pytest.approx([200.0, 100.0, 0.0])
    assert scale(0.0) == scale(0.001) == 200.0
    assert scale.ticks(4) == pytest.approx([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
    assert Scale(1e-6, 1.0, 0.0, 1.0, logarithmic=True).ticks(4)[0] == pytest.approx(1e-6)
    assert len(Scale(1e-9, 1.0, 0.0, 1.0, logarithmic=True).ticks(4)) <= 8


def heights(markup: str) -> list[list[float]]:
    lines = re.findall(r'points="([^"]*)"', markup)
    return [[float(point.split(",")[1]) for point in line.split()] for line in lines]


@pytest.mark.parametrize("logarithmic", [False, True])
def test_lines_stay_inside_the_frame_and_have_the_colours_asked_for(logarithmic: bool) -> None:
    series = {"one": [(1, 0.0), (2, 0.5)], "gone": [], "other": [(1, 0.02), (2, float("nan")), (3, 1.0)]}
    drawn = str(curves(series, "epoch", "error", colours=["likely", "bad", "good"], logarithmic=logarithmic))
    found = heights(drawn)
    assert [len(line) for line in found] == [2, 2]
    assert found[0][0] == HEIGHT - BOTTOM and found[1][1] == TOP
    assert all(TOP <= height <= HEIGHT - BOTTOM for line in found for height in line)
    assert "line likely" in drawn and "line good" in drawn and "line bad" not in drawn and "gone" not in drawn


@pytest.mark.parametrize("values", [[0.52, 0.9], [0.013, 0.016], [0.3, 0.4], [0.2, 0.2], [0.1, 1.0]])
def test_a_logarithmic_scale_has_ticks_whatever_it_spans(values: list[float]) -> None:
    drawn = str(curves({"one": list(enumerate(values))}, "epoch", "error", logarithmic=True))
    assert drawn.count('class="axis"') >= 3  # the line below, and two across


def test_zero_is_drawn_below_the_least_positive_value() -> None:
    first, second, last = heights(
        str(curves({"one": [(0, 0.5), (1, 0.02), (2, 0.0)]}, "epoch", "e", logarithmic=True))
    )[0]
    assert first < second < last == HEIGHT - BOTTOM


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("values", [[0.0, 0.0], [0.3, 0.3], [0.7]])
def test_constant_series_are_drawn(values: list[float], logarithmic: bool) -> None:
    points = list(enumerate(values))
    assert len(heights(str(curves({"one": points}, "epoch", "error", logarithmic=logarithmic)))[0]) == len(values)


def test_nothing_is_drawn_of_nothing() -> None:
    assert not str(curves({"one": [(1, float("nan"))]}, "epoch", "error"))
