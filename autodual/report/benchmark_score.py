"""Rows and summary of a run over the instances of a benchmark, with the score of the verification competition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from autodual.report.document import Row

#: Points of a right answer, and of a wrong one, in VNN-COMP since 2023; any other outcome gets none.
RIGHT, WRONG = 10, -150

DECIDED = ("sat", "unsat")
OUTCOMES = (*DECIDED, "unknown", "timeout", "error")


def contradicts(row: Row) -> bool:
    """Whether an answer is not the recorded one."""
    return row["status"] in DECIDED and row["expected"] in DECIDED and row["status"] != row["expected"]


def points(row: Row) -> int:
    """The points of one instance; an answer that nobody recorded counts as right."""
    if row["status"] not in DECIDED:
        return 0
    return WRONG if contradicts(row) else RIGHT


def summarise_instances(rows: Sequence[Row], seconds: float) -> dict[str, Any]:
    """Outcomes, score and times.

    `possible` is the score of right answers to all instances. The medians are of those that were decided, the seconds
    from start to end and the CPU time; `parts_per_second` is over all instances that were split, of CPU time.
    """
    counts = {status: sum(row["status"] == status for row in rows) for status in OUTCOMES}
    decided = [row for row in rows if row["status"] in DECIDED]
    score, possible = sum(map(points, rows)), RIGHT * len(rows)
    split = [row for row in rows if row["parts"] and row["cpu_seconds"]]
    return {
        "count": len(rows),
        "seconds": round(seconds, 3),
        **counts,
        "recorded": sum(row["expected"] in DECIDED for row in rows),
        "wrong": sum(map(contradicts, rows)),
        "score": score,
        "possible": possible,
        "share": round(score / possible, 4) if possible else None,
        "median_seconds": _median(row["seconds"] for row in decided),
        "median_cpu_seconds": _median(row["cpu_seconds"] for row in decided if row["cpu_seconds"] is not None),
        "parts_per_second": _rate(split),
    }


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return round(median(known), 3) if known else None


def _rate(rows: Sequence[Row]) -> float | None:
    """Parts a second of CPU time, start-up included."""
    return round(sum(row["parts"] for row in rows) / sum(row["cpu_seconds"] for row in rows), 1) if rows else None
