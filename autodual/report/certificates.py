"""Rows and summary of a certification run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autodual.report.document import Row, finite_or_none, fraction
from autodual.report.probability import complement

if TYPE_CHECKING:
    from autodual.certification import Certificate

STATUSES = ("certified", "probably certified", "falsified", "unknown", "misclassified")


def certificate_row(index: int, certificate: Certificate) -> Row:
    """One certificate as JSON data; `index` is the sample's position in its data set, from 0.

    A margin that is not finite is null: it proves nothing. So is an execution's error without a finite bound. A row is
    deterministic iff its `failure_probability` is 0.
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
    if certificate.counterexample is not None:
        row["counterexample"] = certificate.counterexample.tolist()
    return row


def summarise_certificates(rows: Sequence[Row], seconds: float) -> dict[str, Any]:
    """Counts and errors, as fractions of the samples processed.

    `certified_error` is 1 - certified/count: deterministic certificates alone. `clean_error` is None without labels,
    where the predicted class stands in. `estimated` rows owe bounds to random numbers; where there are any,
    `certified_error_with_confidence` counts probable certificates too, and `confidence` is that of each one by itself,
    1 - the largest `failure_probability` of any row. Where there are none, both are None.
    """
    count = len(rows)
    statuses = Counter(row["status"] for row in rows)
    labelled = count > 0 and all(row["label"] is not None for row in rows)
    wrong = sum(row["predicted"] != row["label"] for row in rows)
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
    }
