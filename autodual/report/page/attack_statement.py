"""What a run of attacks says, in words: how many samples broke, by which attacks and where, and what is doubtful."""

from __future__ import annotations

from typing import Any

from autodual.report.attacked import summarise_attacks
from autodual.report.document import Row
from autodual.report.numbers import exact, percent, plural
from autodual.report.page.kinds import counts, rows_of, settings_of
from autodual.report.page.parts import Cell, grid
from autodual.report.page.row_table import RowTable

ATTACK = "autodual.attack/1"


def attacked(document: Row, where: str, holds: str) -> list[str]:
    """The claims, the main one first.

    Args:
        document: of `autodual attack`.
        where: the set of a point x′, in words that follow "x′".
        holds: what should hold of every such point.
    """
    found, total = counts(document), len(rows_of(document))
    broken, wrong, resists = found["broken"], found["misclassified"], found["resists"]
    whole = plural(total, "sample")
    if broken:
        first = (
            f"{broken:,} of the {whole} x tested {'is' if broken == 1 else 'are'} broken: a point x′ {where} was found "
            f"at which this fails: {holds}. The network was run again on each of these points to confirm it."
        )
    else:
        first = f"None of the {whole} x tested was broken: no point x′ {where} was found at which this fails: {holds}."
    lines = [first]
    if wrong:
        lines.append(
            f"At {plural(wrong, 'sample')} it fails without any change; {'it was' if wrong == 1 else 'they were'} not "
            "attacked."
        )
    lines.append(
        f"So the robust error is at least {percent(broken + wrong, total)}. Of the {plural(resists, 'sample')} for "
        "which nothing was found, nothing is claimed: a stronger attack may break them."
    )
    return lines


def attack_tables(document: Row) -> list[RowTable]:
    """The errors under each attack alone, and in each member of a union alone; none for other documents."""
    if document["schema"] != ATTACK:
        return []
    summary = _summary(document)
    note = "Each attack is run on every sample that is right without any change; errors count the others, too."
    kinds = [("Errors under each attack alone", "attack"), ("Errors in each member of the set alone", "member")]
    return [
        RowTable(heading, note, grid([what, "broken", "error"], _lines(summary, f"{what}s")))
        for heading, what in kinds
        if summary[f"{what}s"]
    ]


def summary_differs(document: Row) -> list[str]:
    """The entries of the summary that are not what the rows say."""
    if document["schema"] != ATTACK:
        return []
    fresh, stated = _summary(document), document["summary"]
    return [
        key
        for key in ("clean_error", "robust_error", "attacks", "members", "warnings")
        if stated.get(key) != fresh[key]
    ]


def warnings(document: Row) -> list[str]:
    """What makes the robust error doubtful, as the rows record it."""
    return sorted({str(words) for row in rows_of(document) for words in row.get("warnings") or ()})


def run_facts(document: Row) -> list[tuple[str, list[str]]]:
    """How the network was run and attacked, as names and sentences."""
    settings = settings_of(document)
    said = [
        f"{name} {exact(settings[name])} where an attack does not say"
        for name in ("restarts", "seed")
        if settings.get(name) is not None
    ]
    return [
        ("network run as", [str(settings.get("run", "not recorded"))]),
        ("attacks", [", ".join(_summary(document)["attacks"]), *said]),
        (
            "random numbers",
            [
                "They begin at each attack's seed in every batch, so what is found depends on which samples are "
                f"attacked together: {exact(settings.get('together'))} at a time, in the order of the data."
            ],
        ),
        ("what it is about", ["Single points, at which the network was run in floating point."]),
    ]


def _summary(document: Row) -> dict[str, Any]:
    """The summary of the rows, with the attacks and members that the document's own names."""
    stated = document["summary"]
    names, members = ([*stated[key]] if isinstance(stated.get(key), dict) else [] for key in ("attacks", "members"))
    return summarise_attacks(rows_of(document), 0.0, names, members)


def _lines(summary: dict[str, Any], key: str) -> list[list[object]]:
    total = summary["count"]
    lines = [_line(name, one["broken"], summary, total) for name, one in summary[key].items()]
    return lines if len(lines) == 1 else [*lines, _line("all together", summary["broken"], summary, total)]


def _line(name: str, broken: int, summary: dict[str, Any], total: int) -> list[object]:
    return [name, broken, Cell(percent(broken + summary["misclassified"], total), numeric=True)]
