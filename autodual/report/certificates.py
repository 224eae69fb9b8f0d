"""Rows and summary of a certification run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autodual.report.document import Row, finite_or_none, fraction

if TYPE_CHECKING:
    from autodual.certification import Certificate

STATUSES = ("certified", "falsified", "unknown", "misclassified")


def certificate_row(index: int, certificate: Certificate) -> Row:
    """One certificate as JSON data; `index` is the sample's position in its data set, from 0.

    A margin that is not finite is null: it proves nothing. A row is deterministic iff its `failure_probability` is 0.
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
    }
    if certificate.counterexample is not None:
        row["counterexample"] = certificate.counterexample.tolist()
    return row


def summarise_certificates(rows: Sequence[Row], seconds: float) -> dict[str, Any]:
    """Counts and errors, as fractions of the samples processed.

    `certified_error` is 1 - certified/count. `clean_error` is None without labels, where the predicted class stands in.
    `failure_probability` is the largest of any row.
    """
    count = len(rows)
    statuses = Counter(row["status"] for row in rows)
    labelled = count > 0 and all(row["label"] is not None for row in rows)
    wrong = sum(row["predicted"] != row["label"] for row in rows)
    return {
        "count": count,
        "clean_error": fraction(wrong, count) if labelled else None,
        "certified_error": fraction(count - statuses["certified"], count),
        "seconds": round(seconds, 3),
        **{status: statuses[status] for status in STATUSES},
        "failure_probability": max((row["failure_probability"] for row in rows), default=0.0),
        "assumptions": sorted({assumption for row in rows for assumption in row["assumptions"]}),
    }
