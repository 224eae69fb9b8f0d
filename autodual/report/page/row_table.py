"""The table of a run's rows, the weakest results first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from autodual.report.document import Row
from autodual.report.numbers import finite, number, plural
from autodual.report.page.chance import chance
from autodual.report.page.colours import verdict_colour
from autodual.report.page.kinds import kind_of, rows_of
from autodual.report.page.label_maps import LABELS, POSITIONS, of_label_map
from autodual.report.page.parts import Cell, Grid, grid


@dataclass(frozen=True)
class RowTable:
    """The table, its heading, and a note on its order or None."""

    heading: str
    note: str | None
    grid: Grid


def row_table(document: Row, limit: int) -> list[RowTable]:
    """The table of at most `limit` rows of a document, the weakest first; none for a document without rows."""
    kind, total = kind_of(document), len(rows_of(document))
    if not total:
        return []
    shown = f"{min(limit, total):,} of {plural(total, kind.unit)}"
    if kind.measure is None:
        return [RowTable(f"{shown}, those without a proof first", None, _unproved_first(document, limit))]
    note = f"Smallest {kind.measure} first; index counts the samples of the data set from 0."
    return [RowTable(f"The worst {shown}", note, _smallest_first(document, kind.measure, limit))]


def _smallest_first(document: Row, measure: str, limit: int) -> Grid:
    """The rows with the smallest measure; those without a finite one come before them."""
    ordered = sorted(rows_of(document), key=lambda row: _rank(row[measure]))[:limit]
    columns = [*kind_of(document).columns, *(["failure_probability"] if chance(document) > 0 else [])]
    if any("label_map" in row for row in ordered):
        columns.insert(columns.index(measure), POSITIONS)
    columns += [key for key in ("decided_by", "member") if any(row.get(key) is not None for row in ordered)]
    return _grid(document, ordered, columns)


def _unproved_first(document: Row, limit: int) -> Grid:
    """Rows of schemas without a measure, in the kind's columns or, where it has none, in all that hold one value."""
    kind = kind_of(document)
    rows = sorted(rows_of(document), key=lambda row: kind.verdict(row) == kind.verdicts[0])[:limit]
    single = [key for key, value in rows[0].items() if not isinstance(value, (list, dict))] if rows else []
    columns = [key for key in kind.columns if rows and key in rows[0]] or single
    return _grid(document, rows, columns)


def _grid(document: Row, rows: list[Row], columns: list[str]) -> Grid:
    return grid(columns, [[_shown(document, row, column) for column in columns] for row in rows])


def _rank(value: Any) -> tuple[bool, float]:
    known = finite(value)
    return (known is not None, known or 0.0)


def _shown(document: Row, row: Row, column: str) -> object:
    if "label_map" in row and column in (*LABELS, POSITIONS):
        return of_label_map(row, column)
    value = row.get(column)
    if column in ("status", "flagged"):
        verdict = kind_of(document).verdict(row)
        return Cell(verdict, colour=verdict_colour(verdict))
    if column == "property" and isinstance(value, str):
        return PurePath(value).name  # the whole path is where the files are named
    if column == "rounding_error":
        return Cell(number(value, 2), numeric=True)  # an order of magnitude; more digits would not fit a phone
    # A place in the data set and a class are names, not amounts.
    return str(value) if column in ("index", "reached", *LABELS) and value is not None else value
