"""The files of a run over samples: resuming from them, saving now and then, writing them at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from autodual.errors import DataError, InvalidInputError
from autodual.report import load_document, read_document, write_csv, write_document
from autodual.report.csv_file import csv_text
from autodual.report.point_file import with_points, without_points, write_points
from autodual.report.storage import OtherSettings
from autodual_cli.options.option_groups import OutputOptions
from autodual_cli.options.recorded_options import as_given, option_name
from autodual_cli.output.targets import Target, check_targets, sole_writer_of
from autodual_cli.process.interruption import shielded

Row = dict[str, Any]
_SECONDS_BETWEEN_SAVES = 30.0


class Results:
    """The files that were asked for: JSON, CSV, and one for the points that rows hold.

    Raises:
        InvalidInputError: one of them exists already, or cannot be written; the work has not begun.
    """

    def __init__(self, output: OutputOptions, sources: Sequence[str], points: Path | None = None) -> None:
        self._paths = [output.json, output.csv, points]
        replace = output.overwrite or output.resume
        check_targets(self._paths, sources, overwrite=replace, instead=_RESUME if output.json else "")
        self._resume = output.resume
        self._json, self._csv, self._points = (None if path is None else Target(path, replace) for path in self._paths)
        self._saved, self._warned = time.monotonic(), False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside this context, no other autodual command writes these files."""
        with sole_writer_of(self._paths):
            yield

    def earlier(self, schema: str, settings: dict[str, Any]) -> tuple[list[Row], float, Any]:
        """The rows that the run goes on from, the seconds they took, and the provenance of the run that made them.

        Raises:
            InvalidInputError: there is no file to go on from, or it was made with other settings.
            DataError: it is no such document.
        """
        if not self._resume:
            return [], 0.0, None
        if self._json is None:
            raise InvalidInputError("--resume needs --json, the file to go on from.")
        if self._json.stream:
            raise InvalidInputError(f"--resume goes on from a file, and '{self._json.path}' is none.")
        try:
            rows, seconds = read_document(self._json.path, schema, settings)
        except OtherSettings as difference:
            raise InvalidInputError(_in_options(difference, self._json.path, settings)) from None
        if self._csv is not None:
            _check_table(self._csv.path, rows)
        before = load_document(self._json.path)["settings"].get("provenance") if rows else None
        return self._with_points(rows), seconds, before

    def _with_points(self, rows: list[Row]) -> list[Row]:
        """The rows with what the file of points holds of them; raises InvalidInputError where it lacks some."""
        if self._points is None or self._points.stream or not any(row["status"] == "broken" for row in rows):
            return rows
        found = with_points(rows, self._points.path)
        if not all("counterexample" in row for row in found if row["status"] == "broken"):
            raise InvalidInputError(
                f"'{self._points.path}' does not hold all points of the run that --resume goes on with; leave "
                "--save-points out, or name the run's own file."
            )
        return found

    def save_is_due(self) -> bool:
        """Whether the work so far should be saved now."""
        if self._json is None or self._json.stream or time.monotonic() - self._saved < _SECONDS_BETWEEN_SAVES:
            return False
        self._saved = time.monotonic()
        return True

    def save(self, document: dict[str, Any], rows: list[Row]) -> None:
        """Save the work so far. If that fails, print a warning once and go on, since everything is still in memory."""
        assert self._json is not None
        try:
            if self._points is not None and not self._points.stream:
                self._points.write(write_points, rows)  # first, so that it lacks none of the document's
            self._json.write(write_document, document)
            if self._csv is not None and not self._csv.stream:
                self._csv.write(write_csv, [without_points(row) for row in rows])
        except DataError as error:
            if not self._warned:
                click.echo(f"{error} The run goes on, and will try again.", err=True)
            self._warned = True

    def write(self, document: dict[str, Any], rows: list[Row]) -> list[str]:
        """Write all files, each even if another fails and all if a signal comes; return the problems in words."""
        failures = []
        with shielded():
            for target, writer, content in (
                (self._points, write_points, rows),
                (self._json, write_document, document),
                (self._csv, write_csv, [without_points(row) for row in rows]),
            ):
                try:
                    if target is not None:
                        target.write(writer, content)
                except DataError as error:
                    failures.append(str(error))
        return failures


def _in_options(difference: OtherSettings, path: Path, settings: dict[str, Any]) -> str:
    """What differs, as the command line gives it; the difference's own words where no option does."""
    key = difference.key
    before, now = as_given(difference.before, key), as_given(settings, key)
    if before == now or (before and now and key.endswith("_sha256")):
        return str(difference)
    if before is None:
        remedy = f"without {option_name(key)}; leave it out"
    elif now is None:
        remedy = f"with {before}; give it again"
    else:
        remedy = f"with {before}, not {now}; give {before}"
    return f"'{path}' was made {remedy}, or name another file with --json."


_RESUME = "--resume to go on from it"


def _check_table(path: Path, rows: list[Row]) -> None:
    """Raise InvalidInputError where a CSV file holds anything but lines of these rows."""
    try:
        held = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        held = [""]
    if not set(held) <= set(csv_text(rows).splitlines()):
        raise InvalidInputError(f"'{path}' is not the table of the run that --resume goes on with; name another file.")
