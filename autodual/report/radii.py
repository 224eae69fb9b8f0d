"""Rows and summary of a run that finds certified radii."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodual.report.document import Row, finite_or_none

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def radius_row(index: int, label: int | None, radius: float) -> Row:
    """One certified radius as JSON data; 0 means that none was certified.

    Args:
        index: the sample's position in its data set, from 0.
        label: its class, or None.
        radius: as `certified_radius` returns it.

    Example:
        >>> from autodual.report import radius_row
        >>> radius_row(0, 7, 0.25)
        {'index': 0, 'label': 7, 'radius': 0.25}
    """
    return {"index": index, "label": label, "radius": finite_or_none(radius)}


def summarise_radii(rows: Sequence[Row], seconds: float) -> dict[str, Any]:
    """Mean and quantiles of the certified radii; a radius that is not finite counts as 0, the cautious reading.

    Args:
        rows: as `radius_row` makes them.
        seconds: of work.

    Example:
        >>> from autodual.report import radius_row, summarise_radii
        >>> summarise_radii([radius_row(0, None, 0.25), radius_row(1, None, 0.75)], 0.5)["mean"]
        0.5
    """
    radii = sorted(row["radius"] or 0.0 for row in rows)
    return {
        "count": len(radii),
        "seconds": round(seconds, 3),
        "certified_somewhere": sum(radius > 0 for radius in radii),
        "mean": sum(radii) / len(radii) if radii else None,
        "quantiles": {f"{quantile:g}": _quantile(radii, quantile) for quantile in QUANTILES},
    }


def _quantile(ordered: Sequence[float], quantile: float) -> float | None:
    """The lower empirical quantile: a radius that some sample really has."""
    return ordered[int(quantile * (len(ordered) - 1))] if ordered else None
