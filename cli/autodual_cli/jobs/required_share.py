"""Checks `--require-certified` and `--require-robust`."""

from __future__ import annotations

from typing import Any


def unmet(document: dict[str, Any], required: float) -> str | None:
    """A message if less than `required` per cent are certified, else None.

    Probable certificates count only in a run that asked for estimates.
    """
    summary = document["summary"]
    counted, words = summary["certified"], ""
    if document["settings"].get("projection") is not None:
        counted += summary["probably certified"]
        words = f" ({summary['certified']} for certain, {summary['probably certified']} probably)"
    reached = 100 * counted / summary["count"]
    if reached >= required:
        return None
    return f"Certified {reached:.2f} % of the samples{words}, {required:g} % were required."


def too_few_resist(document: dict[str, Any], required: float) -> str | None:
    """A message if less than `required` per cent resist all attacks, else None."""
    summary = document["summary"]
    reached = 100 * summary["resists"] / summary["count"]
    if reached >= required:
        return None
    return f"{reached:.2f} % of the samples resist, {required:g} % were required."
