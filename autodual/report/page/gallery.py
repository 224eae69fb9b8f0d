"""Counterexamples as pictures, where they are images, and else as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import quote

from autodual.report.document import Row
from autodual.report.numbers import number, plural
from autodual.report.page.attack_statement import ATTACK
from autodual.report.page.changes import Changes, changes
from autodual.report.page.kinds import rows_of
from autodual.report.page.pictures import difference, picture

_SHOWN = 24


@dataclass(frozen=True)
class Panel:
    """One picture, as a data address, and what it shows."""

    title: str
    address: str


@dataclass(frozen=True)
class Link:
    """A saved file, and its address relative to the page."""

    name: str
    address: str


@dataclass(frozen=True)
class Figure:
    """The counterexample of one row: pictures side by side or its numbers, and the file it was saved in or None."""

    index: int
    panels: Sequence[Panel]
    changes: Changes | None
    link: Link | None


@dataclass(frozen=True)
class Gallery:
    """All figures, and what they are."""

    words: str
    figures: Sequence[Figure]


def gallery(document: Row, saved: Mapping[int, PurePath]) -> Gallery | None:
    """The first counterexamples of a document, or None where it has none.

    Args:
        document: as `load_document` returns it.
        saved: the files that counterexamples were saved in, by row index, relative to the page.
    """
    found = [row for row in rows_of(document) if row.get("counterexample") is not None]
    if not found:
        return None
    held = (
        "In the file of points." if document["schema"] == ATTACK else "In the document, under the key counterexample."
    )
    where = "Saved in the files linked here." if saved else held
    more = f" The first {_SHOWN} are shown." if len(found) > _SHOWN else ""
    words = (
        f"{plural(len(found), 'point')} of the set at which the property fails, found by a search; the network was "
        f"run on each again to confirm it. {where}{more}"
    )
    return Gallery(words, [_figure(row, saved.get(row["index"])) for row in found[:_SHOWN]])


def _figure(row: Row, saved: PurePath | None) -> Figure:
    link = None if saved is None else Link(saved.name, quote(saved.as_posix()))
    drawn = panels(row)
    return Figure(row["index"], drawn, None if drawn else changes(row), link)


def panels(row: Row) -> list[Panel]:
    """Pictures of a row's counterexample: the original if it is recorded, the point, and their difference.

    Empty where the counterexample is no image; a single picture without a title where the original is not recorded.
    """
    found, original = row["counterexample"], row.get("original")
    drawn = picture(found)
    if drawn is None:
        return []
    before = None if original is None else picture(original)
    if before is None:
        return [Panel("", drawn)]
    shown = [
        Panel(_title("original", row.get("predicted")), before),
        Panel(_title("perturbed", row.get("reached")), drawn),
    ]
    change = difference(original, found)
    return shown if change is None else [*shown, Panel(f"difference × {number(change[1], 2)}", change[0])]


def _title(what: str, label: object) -> str:
    return what if label is None else f"{what}: class {label}"
