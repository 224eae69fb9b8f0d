"""Robust overfitting in numbers (the thesis' section 4.3): least, chosen and final errors of each set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from autodual.report.document import Row
from autodual.report.numbers import finite

#: The columns of a run's log that hold clean and robust errors, by set and error.
CURVES = {
    ("training", "clean"): "train_clean_error",
    ("training", "robust"): "train_robust_error",
    ("validation", "clean"): "clean_error",
    ("validation", "robust"): "attacked_error",
    ("test", "clean"): "test_clean_error",
    ("test", "robust"): "test_robust_error",
}
#: What a reader must know of `best`.
CAPTION = (
    "Best is the least error of any epoch, final the mean and the standard deviation of the last five measured epochs. "
    "The best error on the test set is a figure for comparison: nothing was chosen by it. Chosen is the epoch whose "
    "network had the least error on held-out samples, and was kept. An epoch whose weights were taken back after a "
    "collapse does not count."
)
_LAST = 5


def learning_summary(log: Sequence[Mapping[str, float | None]]) -> list[Row]:
    """A row for each set and error that a run's log has measured.

    Args:
        log: one row of figures an epoch; values that were not measured are NaN, None or absent.

    Returns:
        Rows with `set`, `error`, `best`, `best_epoch`, `chosen`, `chosen_epoch`, `final`, `final_std`, `last` (how many
        epochs `final` is the mean of) and `difference`, final minus best; None where there is none. `final_std` divides
        by one less than their number.

    Example:
        >>> from autodual.report.learning_summary import learning_summary
        >>> log = [{"epoch": 1, "test_robust_error": 0.25}, {"epoch": 2, "test_robust_error": 0.75}]
        >>> [(row["best"], row["best_epoch"], row["final"], row["difference"]) for row in learning_summary(log)]
        [(0.25, 1, 0.5, 0.25)]
    """
    kept = [row for row in log if not row.get("collapsed")]
    chosen = [row for row in kept if row.get("chosen")]
    found = []
    for (name, error), column in CURVES.items():
        points = measured(kept, column)
        if points:
            of_chosen = measured(chosen[-1:], column)
            found.append({"set": name, "error": error, **_figures(points, of_chosen)})
    return found


def measured(log: Sequence[Mapping[str, float | None]], column: str) -> list[tuple[int, float]]:
    """The epochs in which a column of the log was measured, with its values."""
    values = [(int(row["epoch"] or 0), finite(row.get(column))) for row in log]
    return [(epoch, value) for epoch, value in values if value is not None]


def _figures(points: Sequence[tuple[int, float]], chosen: Sequence[tuple[int, float]]) -> Row:
    best_epoch, best = min(points, key=lambda point: point[1])
    last = [value for _, value in points[-_LAST:]]
    final = math.fsum(last) / len(last)
    spread = math.fsum((value - final) ** 2 for value in last)
    return {
        "best": best,
        "best_epoch": best_epoch,
        "chosen": chosen[0][1] if chosen else None,
        "chosen_epoch": chosen[0][0] if chosen else None,
        "final": final,
        "final_std": math.sqrt(spread / (len(last) - 1)) if len(last) > 1 else None,
        "last": len(last),
        "difference": final - best,
    }
