"""The tables of the page: provenance, settings and the worst rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from autodual.report.document import Row
from autodual.report.page.chance import chance
from autodual.report.page.kinds import kind_of, rows_of, settings_of
from autodual.report.page.markup import Markup, join, tag
from autodual.report.page.numbers import NONE, finite, number
from autodual.report.page.style import style_class

# Shown elsewhere on the page, or part of the provenance.
_ELSEWHERE = frozenset({"provenance", "model_sha256", "weight_file_sha256", "data_sha256"})
_UNKNOWN = "not recorded"


def pairs(entries: Sequence[tuple[str, object]]) -> Markup:
    """A table of names and values."""
    lines = [tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in entries]
    return tag("div", tag("table", tag("tbody", join(lines))), class_="wide")


def grid(columns: Sequence[str], lines: Sequence[Sequence[object]]) -> Markup:
    """A table with a line of headings; numbers stand at the right."""
    names = [column.replace("_", " ") for column in columns]
    heads = [tag("th", name, scope="col", class_=_aligned(lines, place)) for place, name in enumerate(names)]
    body = [tag("tr", join([_cell(value) for value in line])) for line in lines]
    return tag("div", tag("table", tag("thead", tag("tr", join(heads))), tag("tbody", join(body))), class_="wide")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _aligned(lines: Sequence[Sequence[object]], column: int) -> str | None:
    return "num" if any(_is_number(line[column]) for line in lines) else None


def _cell(value: object) -> Markup:
    if _is_number(value):
        return tag("td", number(value, 5), class_="num")
    if value is None:
        return tag("td", NONE, class_="num")
    return tag("td", value)


def worst(document: Row, limit: int) -> Markup | None:
    """The rows with the smallest measure, those without a finite one first; None for schemas that have no measure."""
    kind = kind_of(document)
    measure = kind.measure
    if measure is None:
        return None
    ordered = sorted(rows_of(document), key=lambda row: _rank(row[measure]))[:limit]
    columns = [*kind.columns, *(["failure_probability"] if chance(document) > 0 else [])]
    return grid(columns, [[_shown(document, row, column) for column in columns] for row in ordered])


def listed(document: Row, limit: int) -> Markup:
    """Rows of schemas without a measure, those whose verdict is no proof first: the kind's columns, or all scalars."""
    kind = kind_of(document)
    rows = sorted(rows_of(document), key=lambda row: kind.verdict(row) == kind.verdicts[0])[:limit]
    scalars = [key for key, value in rows[0].items() if not isinstance(value, (list, dict))] if rows else []
    columns = [key for key in kind.columns if rows and key in rows[0]] or scalars
    return grid(columns, [[_shown(document, row, column) for column in columns] for row in rows])


def _rank(value: Any) -> tuple[bool, float]:
    known = finite(value)
    return (known is not None, known or 0.0)


def _shown(document: Row, row: Row, column: str) -> object:
    value = row.get(column)
    if column in ("status", "flagged"):
        verdict = kind_of(document).verdict(row)
        return tag("b", verdict, class_=style_class(verdict))
    if column == "property" and isinstance(value, str):
        return PurePath(value).name  # the whole path is where the files are named
    # A place in the data set and a class are names, not amounts.
    return str(value) if column in ("index", "label", "predicted") and value is not None else value


def provenance_table(document: Row, source: tuple[str, str]) -> Markup:
    """Files with their SHA-256, versions, machine and command; `source` is the document's own name and SHA-256."""
    settings = settings_of(document)
    record = settings.get("provenance")
    record = record if isinstance(record, dict) else {}
    entries: list[tuple[str, object]] = [
        *_file_entries(record, settings),
        ("this run's document", _file(*source)),
        ("command", tag("code", record.get("command") or _UNKNOWN)),
        ("folder", tag("code", record.get("directory") or _UNKNOWN)),
        ("started (UTC)", record.get("started") or _UNKNOWN),
        ("seconds of work", number(document["summary"].get("seconds"))),
        ("device", record.get("device") or settings.get("device") or _UNKNOWN),
        ("platform", record.get("platform") or _UNKNOWN),
        ("versions", _versions(record, settings)),
        ("autodual's source", tag("code", f"SHA-256 {record.get('source_sha256') or _UNKNOWN}", class_="faint")),
    ]
    earlier = record.get("earlier")
    for run in earlier if isinstance(earlier, list) else []:
        entries.append(("resumed from a run", _earlier(run)))
    return pairs(entries)


def _file_entries(record: Row, settings: Row) -> list[tuple[str, object]]:
    files = record.get("files")
    known = [file for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    if known:
        return [(str(file.get("role")), _file(file.get("path"), file.get("sha256"))) for file in known]
    digests = [key for key in settings if key.endswith("_sha256") and settings[key] is not None]
    return [(key.removesuffix("_sha256"), _file(settings.get(key[:-7]), settings[key])) for key in digests]


def _file(name: object, sha256: object) -> Markup:
    return join([tag("code", name), tag("br"), tag("code", f"SHA-256 {sha256}", class_="faint")])


def _versions(record: Row, settings: Row) -> str:
    versions = record.get("versions")
    if not isinstance(versions, dict):
        return f"autodual {settings.get('version', _UNKNOWN)}"
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _earlier(run: object) -> str:
    if not isinstance(run, dict):
        return _UNKNOWN
    return f"started {run.get('started')} on {run.get('device')}, {_versions(run, {})}"


def settings_table(document: Row) -> Markup:
    """All settings, as they stand in the document."""
    entries = [(key, value) for key, value in settings_of(document).items() if key not in _ELSEWHERE]
    return pairs([(key, tag("code", NONE if value is None else value)) for key, value in entries])
