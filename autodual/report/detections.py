"""Rows and summary of a run that flags inputs which may be adversarial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodual.report.document import Row, fraction


def detection_row(index: int, label: int | None, flagged: bool) -> Row:
    """One decision as JSON data; an input that is not flagged is provably not adversarial within the set.

    Args:
        index: the sample's position in its data set, from 0.
        label: its class, or None.
        flagged: as `detect` says.

    Example:
        >>> from autodual.report import detection_row
        >>> detection_row(0, 7, True)
        {'index': 0, 'label': 7, 'flagged': True}
    """
    return {"index": index, "label": label, "flagged": flagged}


def summarise_detections(rows: Sequence[Row], seconds: float) -> dict[str, Any]:
    """How many of the inputs were flagged.

    Args:
        rows: as `detection_row` makes them.
        seconds: of work.

    Example:
        >>> from autodual.report import detection_row, summarise_detections
        >>> summarise_detections([detection_row(0, 7, True)], 0.5)["flagged"]
        1
    """
    flagged = sum(row["flagged"] for row in rows)
    return {
        "count": len(rows),
        "seconds": round(seconds, 3),
        "flagged": flagged,
        "flagged_fraction": fraction(flagged, len(rows)),
    }
