"""A table of the thesis: its published rows, and measured values beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thesis_tables.size import Size

Row = Mapping[str, Any]
Values = Mapping[str, Any]


class NotRun(Exception):
    """Raised with the reason for not running a row; the table shows the reason."""


@dataclass
class Table:
    """A table or a figure by its name in the thesis.

    labels: names of the entries that identify a row. columns: names of the measured entries. rows: published entries by
    name, None where nothing is published. found: measured entries, by the index of the row in `rows`.
    """

    name: str
    title: str
    section: str
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    rows: list[Row]
    found: dict[int, dict[str, Any]] = field(default_factory=dict)

    def fill(self, row: Row, values: Values) -> None:
        """Store measured values for a row; a row that was not published is appended."""
        if row not in self.rows:
            self.rows.append(row)
        self.found.setdefault(self.rows.index(row), {}).update(values)

    def wanted(self, only: str) -> list[Row]:
        """The rows whose labels hold one of the words that commas separate."""
        return [row for row in self.rows if holds(" ".join(str(row[label]) for label in self.labels), only)]

    def lines(self) -> list[dict[str, Any]]:
        """For each row that was tried: its labels, the published and the measured values."""
        return [
            {
                **{label: self.rows[place][label] for label in self.labels},
                "published": {name: self.rows[place].get(name) for name in self.columns},
                "measured": values,
            }
            for place, values in sorted(self.found.items())
        ]

    def markdown(self) -> str:
        """The table with `measured (published)` in each cell; a dash means that there is no value.

        Where networks were trained, their architectures stand at the end of rows.
        """
        also = ["cpu_seconds", *(["arch"] if any("arch" in values for values in self.found.values()) else [])]
        heads = [*self.labels, *self.columns, *also]
        text = [f"{self.name}: {self.title} (section {self.section})", "", _row(heads), _row(["---"] * len(heads))]
        for place, values in sorted(self.found.items()):
            row = self.rows[place]
            cells = [f"{_number(values.get(name))} ({_number(row.get(name))})" for name in self.columns]
            if "not_run" in values:
                cells = [f"not run: {values['not_run']}", *(f"({_number(row.get(name))})" for name in self.columns[1:])]
            ends = [_number(values.get(name)) if name == "cpu_seconds" else values.get(name, "–") for name in also]
            text.append(_row([*(str(row[name]) for name in self.labels), *cells, *ends]))
        return "\n".join(text)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else f"{value:,}"


#: Measures the rows of a table and yields each as soon as it is measured.
Experiment = Callable[[Table, Size], Iterator[tuple[Row, Values]]]


def holds(label: str, only: str) -> bool:
    """Whether a label holds one of the words that commas separate, as every label does where there are none."""
    return any(word in label for word in only.split(","))


def by_row(measure: Callable[[Row, Size], Values]) -> Experiment:
    """The experiment that measures each published row separately, or those that `size.only` names."""

    def experiment(table: Table, size: Size) -> Iterator[tuple[Row, Values]]:
        for row in table.wanted(size.only):
            try:
                yield row, measure(row, size)
            except NotRun as reason:
                yield row, {"not_run": str(reason)}

    return experiment


def not_run(reason: str) -> Experiment:
    """An experiment that runs no row, for example since it needs larger machines."""

    def measure(row: Row, size: Size) -> Values:
        raise NotRun(reason)

    return by_row(measure)


def published_tables() -> dict[str, Table]:
    """The thesis' tables as it printed them (percentages, minutes and seconds as there), by their numbers."""
    text = (Path(__file__).parent / "published.json").read_text(encoding="utf-8")
    found = {}
    for name, entry in json.loads(text).items():
        labels, columns = tuple(entry["labels"]), tuple(entry["columns"])
        rows = [dict(zip((*labels, *columns), values, strict=True)) for values in entry["rows"]]
        found[name] = Table(name, entry["title"], entry["section"], labels, columns, rows)
    return found
