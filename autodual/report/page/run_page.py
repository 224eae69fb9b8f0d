"""`render_page`: the page of a run, from the verdict down to the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from autodual.report.document import Row
from autodual.report.numbers import finite, percent, plural
from autodual.report.page import statement
from autodual.report.page.attack_statement import ATTACK, attack_tables, run_facts, warnings
from autodual.report.page.chance import chance, failure, meaning
from autodual.report.page.charts import Chart, beyond, histogram
from autodual.report.page.colours import verdict_colour
from autodual.report.page.consistency import discrepancies, unfinished
from autodual.report.page.gallery import Gallery, gallery
from autodual.report.page.kinds import counts, kind_of, rows_of, settings_of, shown_counts
from autodual.report.page.origin import Origin, origin_of
from autodual.report.page.parts import Alarm, Tile
from autodual.report.page.rendering import render
from autodual.report.page.row_table import RowTable, row_table

_WORST = 20


@dataclass(frozen=True)
class Share:
    """A part of the bar below the tiles, as wide as its count of rows."""

    count: int
    colour: str
    words: str


@dataclass(frozen=True)
class Fact:
    """Something that a claim rests on, by its name."""

    name: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Claims:
    """What the run proved: the main claim, whether it proves anything, further claims, and what they rest on."""

    main: str
    proves: bool
    others: Sequence[str]
    facts: Sequence[Fact]


@dataclass(frozen=True)
class Plot:
    """The distribution of the rows' margins or radii."""

    heading: str
    chart: Chart
    notes: Sequence[str]


@dataclass(frozen=True)
class RunPage:
    """All that `templates/run.html` shows; sections that are None are left out."""

    title: str
    heading: str
    subject: str
    tiles: Sequence[Tile]
    shares: Sequence[Share]
    alarms: Sequence[Alarm]
    claims: Claims
    plot: Plot | None
    tables: Sequence[RowTable]
    gallery: Gallery | None
    origin: Origin


def render_page(
    document: Row, source: tuple[str, str], saved: Mapping[int, PurePath] | None = None, worst_rows: int = _WORST
) -> str:
    """The page, as text of a complete HTML file.

    Args:
        document: as `load_document` returns it.
        source: the name of the file it was read from, and the SHA-256 of its bytes.
        saved: where counterexamples were saved, by row index, relative to the page.
        worst_rows: how many of the worst rows are listed.

    Example:
        >>> path.with_suffix(".html").write_text(render_page(load_document(path), (path.name, digest)))
    """
    kind, model = kind_of(document), _model_name(document)
    page = RunPage(
        title=f"{kind.title}: {model}",
        heading=f"{kind.title} of {model}",
        subject=_subject(document),
        tiles=_tiles(document),
        shares=_shares(document),
        alarms=_alarms(document),
        claims=_claims(document),
        plot=_plot(document),
        tables=[*attack_tables(document), *row_table(document, worst_rows)],
        gallery=gallery(document, saved or {}),
        origin=origin_of(document, source, again=f"autodual replay {source[0]}"),
    )
    return render("run.html", page)


def _model_name(document: Row) -> str:
    return PurePath(str(settings_of(document).get("model", "unknown network"))).name


def _subject(document: Row) -> str:
    """How many samples of which data, and the set around each."""
    settings, total = settings_of(document), len(rows_of(document))
    subject = f"{plural(total, kind_of(document).unit)} of ‘{settings.get('data') or settings.get('property')}’"
    if settings.get("data_description"):
        subject += f", {settings['data_description']}"
    return "; ".join(str(part) for part in (subject, settings.get("set")) if part)


def _tiles(document: Row) -> list[Tile]:
    total = len(rows_of(document))
    return [
        Tile(f"{count:,}", f"{verdict} ({percent(count, total)})", meaning(document, verdict), verdict_colour(verdict))
        for verdict, count in shown_counts(document).items()
    ]


def _shares(document: Row) -> list[Share]:
    return [
        Share(count, verdict_colour(verdict), f"{count:,} {verdict}")
        for verdict, count in shown_counts(document).items()
        if count
    ]


def _alarms(document: Row) -> list[Alarm]:
    """What makes the page's claims weaker than they look."""
    incomplete = unfinished(document)
    boxes = [
        Alarm("This document contradicts itself: do not rely on it", discrepancies(document)),
        Alarm("The claims hold only under these assumptions", statement.assumptions(document)),
        Alarm("The run is not complete", [] if incomplete is None else [incomplete]),
        Alarm("The robust error may be far too low", warnings(document)),
        Alarm("The claims are not deterministic", [failure(document)] if chance(document) > 0 else []),
    ]
    return [box for box in boxes if box.lines]


def _claims(document: Row) -> Claims:
    main, *others = statement.statements(document)
    settings = settings_of(document)
    record = settings.get("provenance")
    units = record.get("units", "not recorded") if isinstance(record, dict) else "not recorded"
    facts = [
        Fact("perturbation set", [str(settings.get("set") or "that of the property"), statement.clipping(document)]),
        Fact("units", [str(units)]),
        *(Fact(*fact) for fact in (run_facts(document) if document["schema"] == ATTACK else _ground(document))),
    ]
    return Claims(main, statement.proves(document), others, facts)


def _ground(document: Row) -> list[tuple[str, list[str]]]:
    """What proofs rest on."""
    assumed = statement.assumptions(document)
    return [
        ("arithmetic", statement.arithmetic(document)),
        ("failure probability", [failure(document)]),
        ("assumptions", ["; ".join(assumed) if assumed else "none beyond the following"]),
        ("what it is about", statement.ground(document)),
    ]


def _plot(document: Row) -> Plot | None:
    """The histogram of the kind's measure; None where no row has a finite one."""
    kind, rows = kind_of(document), rows_of(document)
    if kind.measure is None:
        return None
    values = [(finite(row[kind.measure]), kind.verdict(row)) for row in rows]
    known = [(value, verdict) for value, verdict in values if value is not None]
    if not known:
        return None
    notes = []
    outside = beyond([value for value, _ in known])
    if outside:
        notes.append(f"{plural(outside, 'value')} further out {'is' if outside == 1 else 'are'} in the outermost bars.")
    if len(known) < len(values):
        notes.append(f"{plural(len(values) - len(known), kind.unit)} without a finite {kind.measure} left out.")
    drawn = {verdict for _, verdict in known}
    verdicts = [name for name in counts(document) if name in drawn]
    chart = histogram(known, kind.caption, f"{kind.unit}s", verdicts)
    return Plot(f"Distribution of the {kind.measure}", chart, notes)
