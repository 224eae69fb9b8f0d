"""The figures by which certified networks are compared: errors without attack, under one, and of ever dearer proofs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from autodual.report.document import Row

#: The stages of an effort whose certificates count for each figure; every figure's are among those of the next.
PROVED_BY: dict[str, tuple[str, ...]] = {
    "certified_by_intervals": ("intervals",),
    "certified_by_bounds": ("intervals", "adaptive", "optimized"),
    "certified_by_search": ("intervals", "adaptive", "optimized", "search"),
}
FIGURES = ("clean_error", "attacked_error", *(f"{name}_error" for name in PROVED_BY))


def network_figures(rows: Sequence[Row]) -> dict[str, float]:
    """Errors of one network as fractions of its samples, by the names in `FIGURES`.

    The truth lies between `attacked_error`, of samples that are misclassified or that the attack breaks, and
    `certified_by_search_error`, of those that nothing proves robust.

    Args:
        rows: of `certify` with an effort, an attack and a bracket, as `certificate_row` makes them; at least one.

    Example:
        >>> from autodual.report.network_figures import network_figures
        >>> proved = {"status": "certified", "stage": "search", "attacked": False}
        >>> network_figures([proved, {"status": "falsified", "stage": "adaptive", "attacked": True}])["attacked_error"]
        0.5
    """
    count = len(rows)
    found = {
        "clean_error": sum(row["status"] == "misclassified" for row in rows) / count,
        "attacked_error": sum(row["attacked"] for row in rows) / count,
    }
    for name, stages in PROVED_BY.items():
        proved = sum(row["status"] == "certified" and row["stage"] in stages for row in rows)
        found[f"{name}_error"] = (count - proved) / count
    return found


def spread(figures: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    """Mean and standard deviation (of a sample: divided by one less than the number) of each figure over networks.

    Args:
        figures: of each network; of a single one the deviation is None.

    Example:
        >>> from autodual.report.network_figures import spread
        >>> spread([{"clean_error": 0.25}, {"clean_error": 0.75}])["mean"]
        {'clean_error': 0.5}
    """
    columns: dict[str, list[float]] = {name: [one[name] for one in figures] for name in figures[0]}
    deviation = {name: statistics.stdev(values) if len(values) > 1 else None for name, values in columns.items()}
    return {"mean": {name: statistics.fmean(values) for name, values in columns.items()}, "deviation": deviation}


def figure_table(names: Sequence[str], figures: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """A line for each network, and where there are several, their mean and deviation."""
    lines: list[dict[str, Any]] = [{"network": name, **found} for name, found in zip(names, figures, strict=True)]
    if len(lines) > 1:
        lines += [{"network": name, **found} for name, found in spread(figures).items()]
    return lines
