"""Lines of summaries about bounds that were estimated, kept apart from those about deterministic ones."""

from __future__ import annotations

from typing import Any

from autodual.report.numbers import plural
from autodual_cli.output.summary_lines import percent


def projection_entries(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """The settings of the projections, if there are any."""
    chosen = settings.get("projection")
    if chosen is None:
        return []
    words = f"{chosen['dim']:,} where exact rows cost more, confidence {chosen['confidence']!r}, seed {chosen['seed']}"
    return [("random projections", words)]


def estimate_entries(settings: dict[str, Any], summary: dict[str, Any]) -> list[tuple[str, str]]:
    """How many samples fit the budget, how many did not, and how many of the latter are probably certified."""
    chosen, estimated = settings.get("projection"), summary["estimated"]
    if chosen is None:
        return []
    rows = f"the budget of {plural(chosen['dim'], 'row')}"
    entries = [("bounded exactly", f"{summary['count'] - estimated}: exact bounds fit {rows}")]
    if estimated == 0:
        return [*entries, ("estimated", "0: nothing here depends on chance")]
    confidence = f"{summary['confidence']!r}"
    return [
        *entries,
        ("estimated", f"{estimated}: exact bounds do not fit {rows}"),
        (
            f"error at confidence {confidence}",
            f"{percent(summary['certified_error_with_confidence'])} (1 - (certified + probably certified) / samples)",
        ),
        (f"confidence {confidence}", "that of each certificate by itself, not of all of them together"),
    ]


def estimate_notice(document: dict[str, Any]) -> str | None:
    """A sentence saying that the budget was too small for exact bounds of some samples; None if it was not."""
    summary, chosen = document["summary"], document["settings"].get("projection")
    if chosen is None or summary["estimated"] == 0:
        return None
    estimated, count, budget = summary["estimated"], plural(summary["count"], "sample"), plural(chosen["dim"], "row")
    return (
        f"Exact bounds of {estimated} of {count} do not fit the budget of {budget}, so they were estimated: what is "
        f"certified of each of these holds with a probability of at least {summary['confidence']!r}, not for certain."
    )
