"""`render_page`: the sections of the page, from the verdict down to the settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from urllib.parse import quote

from autodual.report.document import Row
from autodual.report.page import statement
from autodual.report.page.chance import chance, failure, meaning
from autodual.report.page.checks import discrepancies, progress
from autodual.report.page.counterexamples import panels
from autodual.report.page.kinds import counts, kind_of, rows_of, settings_of, shown_counts
from autodual.report.page.markup import Markup, join, tag
from autodual.report.page.numbers import finite, percent, plural
from autodual.report.page.plots import beyond, histogram, legend
from autodual.report.page.skeleton import tile, whole_page
from autodual.report.page.style import style_class
from autodual.report.page.tables import listed, pairs, provenance_table, settings_table, worst

_WORST = 20
_GALLERY = 24


def render_page(
    document: Row, source: tuple[str, str], saved: Mapping[int, PurePath] | None = None, worst_rows: int = _WORST
) -> str:
    """The page, as text of a complete HTML file.

    Args:
        document: as `load_document` returns it.
        source: the name of the file it was read from, and the SHA-256 of its bytes.
        saved: where counterexamples were saved, by row index, relative to the page.
        worst_rows: how many of the worst rows are listed.
    """
    sections = [
        _head(document),
        _alarms(document),
        _claims(document),
        _plot(document),
        _rows(document, worst_rows),
        _counterexamples(document, saved or {}),
        _origin(document, source),
    ]
    title = f"{kind_of(document).title}: {_model_name(document)}"
    return whole_page(title, sections)


def _model_name(document: Row) -> str:
    return PurePath(str(settings_of(document).get("model", "unknown network"))).name


def _head(document: Row) -> Markup:
    settings, found, total = settings_of(document), shown_counts(document), len(rows_of(document))
    subject = f"{plural(total, kind_of(document).unit)} of ‘{settings.get('data') or settings.get('property')}’"
    if settings.get("data_description"):
        subject += f", {settings['data_description']}"
    tiles = [
        tile(
            f"{count:,}",
            f"{verdict} ({percent(count, total)})",
            meaning(document, verdict),
            style_class(verdict),
        )
        for verdict, count in found.items()
    ]
    bar = [
        tag("i", class_=style_class(verdict), style=f"flex-grow:{count}", title=f"{count:,} {verdict}")
        for verdict, count in found.items()
        if count
    ]
    return join(
        [
            tag("h1", f"{kind_of(document).title} of {_model_name(document)}"),
            tag("p", "; ".join(part for part in (subject, settings.get("set")) if part), class_="faint"),
            tag("div", join(tiles), class_="tiles"),
            tag("div", join(bar), class_="bar"),
        ]
    )


def _alarms(document: Row) -> Markup:
    """What makes the page's claims weaker than they look, where nobody can miss it."""
    boxes = []
    contradictions = discrepancies(document)
    if contradictions:
        boxes.append(_alarm("This document contradicts itself: do not rely on it", contradictions))
    assumed = statement.assumptions(document)
    if assumed:
        boxes.append(_alarm("The claims hold only under these assumptions", assumed))
    incomplete = progress(document)
    if incomplete:
        boxes.append(_alarm("The run is not complete", [incomplete]))
    if chance(document) > 0:
        boxes.append(_alarm("The claims are not deterministic", [failure(document)]))
    return join(boxes)


def _alarm(title: str, lines: list[str]) -> Markup:
    items = [tag("li", line) for line in lines]
    return tag("div", tag("h2", title), tag("ul", join(items)), class_="alarm", role="alert")


def _claims(document: Row) -> Markup:
    first, *rest = statement.statements(document)
    assumed = statement.assumptions(document)
    record = settings_of(document).get("provenance")
    region = [
        tag("p", settings_of(document).get("set") or "that of the property"),
        tag("p", statement.clipping(document)),
    ]
    entries: list[tuple[str, object]] = [
        ("perturbation set", join(region)),
        ("units", record.get("units", "not recorded") if isinstance(record, dict) else "not recorded"),
        ("arithmetic", join([tag("p", line) for line in statement.arithmetic(document)])),
        ("failure probability", failure(document)),
        ("assumptions", "; ".join(assumed) if assumed else "none beyond the following"),
        ("what it is about", join([tag("p", line) for line in statement.ground(document)])),
    ]
    style = "claim" if statement.proves(document) else "claim nothing"
    paragraphs = [tag("p", first, class_=style), *(tag("p", line) for line in rest)]
    return join([tag("h2", "What this says"), *paragraphs, pairs(entries)])


def _plot(document: Row) -> Markup:
    kind, rows = kind_of(document), rows_of(document)
    if kind.measure is None:
        return Markup()
    values = [(finite(row[kind.measure]), kind.verdict(row)) for row in rows]
    known = [(value, verdict) for value, verdict in values if value is not None]
    if not known:
        return Markup()
    notes = []
    outside = beyond([value for value, _ in known])
    if outside:
        notes.append(f"{plural(outside, 'value')} further out {'is' if outside == 1 else 'are'} in the outermost bars.")
    if len(known) < len(values):
        notes.append(f"{plural(len(values) - len(known), kind.unit)} without a finite {kind.measure} left out.")
    words = {"margin": "margin that is proved; positive where the property is"}
    return join(
        [
            tag("h2", f"Distribution of the {kind.measure}"),
            histogram(known, words.get(kind.measure, f"certified {kind.measure}"), f"{kind.unit}s"),
            legend([name for name, count in counts(document).items() if count]),
            *(tag("p", note, class_="faint") for note in notes),
        ]
    )


def _rows(document: Row, limit: int) -> Markup:
    kind, total = kind_of(document), len(rows_of(document))
    if not total:
        return Markup()
    table = worst(document, limit)
    if table is None:
        heading = f"{min(limit, total):,} of {plural(total, kind.unit)}, those without a proof first"
        return join([tag("h2", heading), listed(document, limit)])
    heading = f"The worst {min(limit, total):,} of {plural(total, kind.unit)}"
    note = f"Smallest {kind.measure} first; index counts the samples of the data set from 0."
    return join([tag("h2", heading), tag("p", note, class_="faint"), table])


def _counterexamples(document: Row, saved: Mapping[int, PurePath]) -> Markup:
    found = [row for row in rows_of(document) if row.get("counterexample") is not None]
    if not found:
        return Markup()
    figures = [_figure(row, saved.get(row["index"])) for row in found[:_GALLERY]]
    where = "Saved in the files linked here." if saved else "In the document, under the key counterexample."
    more = f" The first {_GALLERY} are shown." if len(found) > _GALLERY else ""
    words = (
        f"{plural(len(found), 'point')} of the set at which the property fails, found by a search; the network was "
        f"run on each again to confirm it. {where}{more}"
    )
    return join([tag("h2", "Counterexamples"), tag("p", words), tag("div", join(figures), class_="gallery")])


def _figure(row: Row, saved: PurePath | None) -> Markup:
    """The pictures of one counterexample side by side, and the row that it belongs to."""
    index = row["index"]
    shown = [
        tag("span", tag("img", src=address, alt=f"{title or 'counterexample'}, row {index}"), tag("small", title))
        for title, address in panels(row)
    ]
    words = tag("figcaption", f"row {index} ", "" if saved is None else _link(saved))
    return tag("figure", tag("div", join(shown), class_="panels"), words)


def _link(path: PurePath) -> Markup:
    return tag("a", path.name, href=quote(path.as_posix()))


def _origin(document: Row, source: tuple[str, str]) -> Markup:
    again = tag("p", "To compute it again and compare: ", tag("code", f"autodual replay {source[0]}"))
    settings = tag("details", tag("summary", "All settings"), settings_table(document))
    return join([tag("h2", "Where it comes from"), provenance_table(document, source), again, settings])
