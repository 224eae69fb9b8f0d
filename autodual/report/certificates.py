"""Rows and summary of a certification run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from autodual.report.document import Row, finite_or_none, fraction
from autodual.report.probability import complement

if TYPE_CHECKING:
    from autodual.certification import Certificate, Positions

STATUSES = ("certified", "probably certified", "falsified", "unknown", "misclassified")


def certificate_row(index: int, certificate: Certificate) -> Row:
    """One certificate as JSON data.

    A margin that is not finite is recorded as null, since it proves nothing; so is an execution error without a finite
    bound. A row is
    deterministic iff its `failure_probability` is 0. Of a label map, `margins` and `label_map` hold something for each
    position, the map flattened.

    Args:
        index: the sample's position in its data set, from 0.
        certificate: what `certify` says of it.

    Example:
        >>> import autodual, torch
        >>> from autodual.report import certificate_row
        >>> dual = autodual.compile_dual(torch.nn.Identity())
        >>> (found,) = autodual.certify(dual, torch.tensor([[1.0, 0.0]]), autodual.LinfBall(0.1), labels=[0])
        >>> certificate_row(0, found)["status"]
        'certified'
    """
    row: Row = {
        "index": index,
        "label": certificate.label,
        "predicted": certificate.predicted,
        "status": certificate.status.value,
        "margin": finite_or_none(certificate.margin),
        "rounding_error": finite_or_none(certificate.rounding_error),
        "margins": [finite_or_none(margin) for margin in certificate.margins],
        "method": certificate.method,
        "arithmetic": certificate.arithmetic,
        "failure_probability": certificate.failure_probability,
        "assumptions": list(certificate.assumptions),
        "execution_arithmetic": certificate.execution,
        "execution_error": None if certificate.execution_error is None else finite_or_none(certificate.execution_error),
        "execution_reason": certificate.execution_reason,
    }
    if certificate.decided_by:
        row["decided_by"] = certificate.decided_by
    if certificate.attacked is not None:
        row["attacked"] = certificate.attacked
    if certificate.stage:
        row["stage"] = certificate.stage
    if certificate.parts is not None:
        row["parts"] = certificate.parts
    if certificate.exact is not None:
        row["exact"] = asdict(certificate.exact)
    if certificate.positions is not None:
        row.update(_of_positions(certificate.positions))
    if certificate.counterexample is not None:
        row["counterexample"] = certificate.counterexample.tolist()
        row["original"] = None if certificate.original is None else certificate.original.tolist()
        row["reached"] = certificate.reached
    return row


def _of_positions(positions: Positions) -> Row:
    """How many positions of a label map are counted, certified and correct, and which; null for ignored ones."""
    certified = positions.certified.flatten().tolist()
    counted = positions.counted.flatten().tolist()
    return {
        "positions": positions.count,
        "positions_certified": positions.certified_count,
        "positions_correct": positions.correct_count,
        "label_map": {
            "shape": list(positions.counted.shape),
            "labelled": positions.labels is not None,
            "certified": [sure if known else None for sure, known in zip(certified, counted, strict=True)],
            "predicted": positions.predicted.flatten().tolist(),
        },
    }


def summarise_certificates(rows: Sequence[Row], seconds: float) -> dict[str, Any]:
    """Counts and errors, as fractions of the samples processed.

    `certified_error` is 1 - certified/count and counts deterministic certificates only. `clean_error` is None without
    labels, because the predicted class then stands in for the label. With label maps it counts samples with any wrong
    position, and `positions` says how many positions are wrong and how many are certified. `estimated` counts the rows
    whose bounds depend on random numbers. If there are any, `certified_error_with_confidence` counts probable
    certificates too, and `confidence` is that of each one by itself: 1 - the largest `failure_probability` of any row.
    If there are none, both are None. Where rows say whether an attack succeeded, `bracket` encloses the number of
    samples that are robust in truth: `certified` from below, and those that hold out against the attack, `unbroken`,
    from above. Where some were decided exactly, `exact` counts these, and those whose time ran out.

    Args:
        rows: as `certificate_row` makes them.
        seconds: of work.

    Example:
        >>> import autodual, torch
        >>> from autodual.report import certificate_row, summarise_certificates
        >>> dual = autodual.compile_dual(torch.nn.Identity())
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.9]])
        >>> found = autodual.certify(dual, x, autodual.LinfBall(0.1), labels=[0, 0])
        >>> summarise_certificates([certificate_row(*pair) for pair in enumerate(found)], 0.5)["certified_error"]
        0.5
    """
    count = len(rows)
    statuses = Counter(row["status"] for row in rows)
    labelled = count > 0 and all(_labelled(row) for row in rows)
    wrong = sum(_wrong(row) for row in rows)
    estimated = sum(row["failure_probability"] > 0 for row in rows)
    failure_probability = max((row["failure_probability"] for row in rows), default=0.0)
    proved = statuses["certified"] + statuses["probably certified"]
    return {
        "count": count,
        "clean_error": fraction(wrong, count) if labelled else None,
        "certified_error": fraction(count - statuses["certified"], count),
        "certified_error_with_confidence": fraction(count - proved, count) if estimated else None,
        "confidence": complement(failure_probability) if estimated else None,
        "seconds": round(seconds, 3),
        **{status: statuses[status] for status in STATUSES},
        "estimated": estimated,
        "failure_probability": failure_probability,
        "assumptions": sorted({assumption for row in rows for assumption in row["assumptions"]}),
        **bracket_of(rows, statuses["certified"]),
        **_exact([row["exact"] for row in rows if "exact" in row]),
        **_positions([row for row in rows if "positions" in row], labelled),
    }


def bracket_of(rows: Sequence[Row], certified: int) -> dict[str, Any]:
    """Bounds of the number of samples that are robust; empty where rows do not say what an attack found."""
    attacked = [row["attacked"] for row in rows if "attacked" in row]
    return {"bracket": {"certified": certified, "unbroken": len(rows) - sum(attacked)}} if attacked else {}


def _exact(efforts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many samples were decided by programs, and for how many the time ran out; empty where none was tried."""
    if not efforts:
        return {}
    unfinished = sum(not effort["finished"] for effort in efforts)
    return {"exact": {"tried": len(efforts), "out_of_time": unfinished}}


def _labelled(row: Row) -> bool:
    return row["label_map"].get("labelled") is True if "label_map" in row else row["label"] is not None


def _wrong(row: Row) -> bool:
    """Whether the sample itself, or any position of it, gets another class than its label."""
    return row["positions_correct"] < row["positions"] if "positions" in row else row["predicted"] != row["label"]


def _positions(rows: Sequence[Row], labelled: bool) -> dict[str, Any]:
    """Sums over the positions of label maps; empty where there are none."""
    if not rows:
        return {}
    counted, certified, correct = (
        sum(row[key] for row in rows) for key in ("positions", "positions_certified", "positions_correct")
    )
    return {
        "positions": {
            "counted": counted,
            "certified": certified,
            "correct": correct,
            "clean_error": fraction(counted - correct, counted) if labelled else None,
            "certified_error": fraction(counted - certified, counted),
        }
    }
