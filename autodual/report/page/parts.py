"""Values that `templates/parts.html` shows: tiles, boxes and tables, every word as a reader sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autodual.report.numbers import NONE, number


@dataclass(frozen=True)
class Tile:
    """One number, what it is and what that means; `colour` is a class of the style sheet."""

    figure: str
    words: str
    note: str
    colour: str


@dataclass(frozen=True)
class Alarm:
    """A box that nobody can miss."""

    title: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Heading:
    """The name of a column; those of numbers stand at the right."""

    words: str
    numeric: bool


@dataclass(frozen=True)
class Cell:
    """One cell of a table; a verdict has the colour of its class, other cells have none."""

    words: str
    numeric: bool = False
    colour: str = ""


@dataclass(frozen=True)
class Grid:
    """A table with a line of headings."""

    columns: Sequence[Heading]
    lines: Sequence[Sequence[Cell]]


def grid(columns: Sequence[str], lines: Sequence[Sequence[object]]) -> Grid:
    """A table of values, each of which is a `Cell` already, a number, None or anything that has a text."""
    cells = [[_cell(value) for value in line] for line in lines]
    heads = [
        Heading(name.replace("_", " "), any(_is_number(line[place]) for line in lines))
        for place, name in enumerate(columns)
    ]
    return Grid(heads, cells)


def _is_number(value: object) -> bool:
    if isinstance(value, Cell):
        return value.numeric
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: object) -> Cell:
    if isinstance(value, Cell):
        return value
    if _is_number(value):
        return Cell(number(value, 5), numeric=True)
    return Cell(NONE, numeric=True) if value is None else Cell(str(value))
