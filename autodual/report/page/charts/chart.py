"""What a chart consists of: every place in pixels, every word as it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Frame:
    """The size of a chart, and where in it the values are drawn; all in pixels."""

    width: int = 720
    height: int = 230
    left: int = 64
    right: int = 706
    top: int = 12
    bottom: int = 176


FRAME = Frame()


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis, in pixels. `finer` ticks lose their label where the screen is narrow."""

    place: float
    words: str
    finer: bool


@dataclass(frozen=True)
class Axis:
    """Ticks, and what the axis shows."""

    caption: str
    ticks: Sequence[Tick]


@dataclass(frozen=True)
class Bar:
    """A rectangle in pixels, its colour class, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    words: str


@dataclass(frozen=True)
class Line:
    """A line through points in pixels, its colour class and its name."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class LegendEntry:
    """A colour class, and what has that colour."""

    name: str
    colour: str


@dataclass(frozen=True)
class Chart:
    """One chart: axes, and bars or lines inside their frame.

    title: read aloud in place of the picture. zero: where a vertical line marks the value 0, in pixels, or None.
    """

    title: str
    horizontal: Axis
    vertical: Axis
    bars: Sequence[Bar] = ()
    lines: Sequence[Line] = ()
    zero: float | None = None
    legend: Sequence[LegendEntry] = ()
    frame: Frame = FRAME
