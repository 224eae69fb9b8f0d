"""Rows and summary of a run that flags inputs which may be adversarial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodual.report.document import Row, fraction


def detection_row(index: int, label: int | None, flagged: bool) -> Row:
    """One decision as JSON data; an input that is not flagged is provably not adversarial within the set."""
    return {"index": index, "label": label, "flagged": flagged}


def summarise_detections(rows: Sequence[Row], seconds: float) -> dict[str, Any]:
    """How many of the inputs were flagged."""
    flagged = sum(row["flagged"] for row in rows)
    return {
        "count": len(rows),
        "seconds": round(seconds, 3),
        "flagged": flagged,
        "flagged_fraction": fraction(flagged, len(rows)),
    }
