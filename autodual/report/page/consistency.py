"""Checks that a document does not contradict itself: a page must not repeat a claim that its rows do not support."""

from __future__ import annotations

from autodual.report.document import Row
from autodual.report.numbers import finite
from autodual.report.page.attack_statement import ATTACK, summary_differs
from autodual.report.page.chance import estimated
from autodual.report.page.kinds import DISTANCES, counts, kind_of, rows_of, settings_of
from autodual.report.page.pictures import as_array

_SHOWN = 10


def discrepancies(document: Row) -> list[str]:
    """One sentence for each contradiction, at most ten about rows; empty for documents that nobody has edited."""
    rows = rows_of(document)
    found = [f"Row {row['index']}: {problem}" for row in rows if (problem := _problem(document, row)) is not None]
    if len(found) > _SHOWN:
        found = [*found[:_SHOWN], f"And {len(found) - _SHOWN} more rows."]
    summary = document["summary"]
    stated = {"count": len(rows), "estimated": estimated(document), **counts(document)}
    for name, count in stated.items():
        if name in summary and summary[name] != count:
            found.append(f"The summary says {name} = {summary[name]!r}, the rows say {count}.")
    return [*found, *(f"The summary's {key} is not that of the rows." for key in summary_differs(document))]


def _problem(document: Row, row: Row) -> str | None:
    if kind_of(document).verdict(row) not in kind_of(document).verdicts:
        return f"its status {row.get('status')!r} does not exist."
    margin, failure = finite(row.get("margin")), row.get("failure_probability", 0)
    match row.get("status"):
        case ("certified" | "probably certified") as status if margin is None or margin <= 0:
            return f"it is called {status}, but its margin is not positive."
        case ("certified" | "probably certified") as status if (
            _by_label(document, row) and row["label"] != row["predicted"]
        ):
            return f"it is called {status}, but its label is not the class predicted."
        case ("certified" | "probably certified") as status if row.get("positions_certified") != row.get("positions"):
            return f"it is called {status}, but not all of its positions are."
        case "certified" if row.get("attacked"):
            return "it is called certified, but an attack is said to have broken it."
        case "certified" if failure != 0:
            return "it is called certified, but holds only with a probability."
        case "probably certified" if not 0 < failure < 1:
            return "it is called probably certified, but its failure probability is not between 0 and 1."
        case "falsified" | "sat" if row.get("counterexample") is None:
            return "it is called refuted, but there is no counterexample."
        case "broken" if margin is None or margin >= 0:
            return "it is called broken, but its margin is not negative."
        case "resists" | "misclassified" if row.get("broken_by"):
            return "an attack is said to have broken it, but it is not called broken."
        case ("resists" | "broken") as status if _by_label(document, row) and row["label"] != row["predicted"]:
            return f"it is called {status}, but its label is not the class predicted."
        case "misclassified" if _by_label(document, row) and row["label"] == row["predicted"]:
            return "it is called misclassified, but its label is the class predicted."
    if "label_map" in row and _certified_positions(row) != row["positions_certified"]:
        return "its count of certified positions is not that of its label map."
    if document["schema"] == ATTACK and "counterexample" in row and not _fits_point(row):
        return "the point that was saved of it is not as far from the sample as it says."
    if "radius" in row:
        radius, limit = finite(row["radius"]), finite(settings_of(document).get("max_radius"))
        if radius is not None and (radius < 0 or (limit is not None and radius > limit * (1 + 1e-6))):
            return "its radius is outside the range that was searched."
    return None


def _fits_point(row: Row) -> bool:
    """Whether the point of a row is as far from its sample as the row says."""
    import numpy

    point, original = as_array(row["counterexample"]), as_array(row.get("original"))
    if point is None or original is None or point.shape != original.shape:
        return False
    change = (point - original).ravel()
    lengths = [float(numpy.linalg.norm(change, order)) for order in (numpy.inf, 2, 1)]
    stated = [finite(row.get(key)) for key in DISTANCES]
    return all(told is not None and abs(told - length) <= 1e-6 * (1 + length) for told, length in zip(stated, lengths))


def _certified_positions(row: Row) -> int | None:
    """How many positions the map calls certified; None if one of those has no positive margin."""
    sure, margins = row["label_map"].get("certified"), row.get("margins")
    if not isinstance(sure, list) or not isinstance(margins, list) or len(sure) != len(margins):
        return None
    agree = all(known is not True or (finite(margin) or 0) > 0 for known, margin in zip(sure, margins))
    return sum(known is True for known in sure) if agree else None


def _by_label(document: Row, row: Row) -> bool:
    """Whether the property is that the label wins; other properties may hold whatever the predicted class is."""
    return settings_of(document).get("specification") is None and row.get("label") is not None


def unfinished(document: Row) -> str | None:
    """A sentence saying that the run is not complete; None if it is, or if the document does not tell."""
    settings, rows = settings_of(document), rows_of(document)
    record = settings.get("provenance")
    samples = record.get("samples") if isinstance(record, dict) else None
    skip, limit = settings.get("skip"), settings.get("limit")
    if not isinstance(samples, int) or not isinstance(skip, int):
        return None
    stop = min(samples, skip + limit) if isinstance(limit, int) else samples
    if len(rows) >= stop - skip:
        return None
    return (
        f"It was stopped early: {len(rows):,} of {stop - skip:,} samples are in it. It says nothing about the others."
    )
