"""Rows and summary of a run that certifies with a cascade."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autodual.report.certificates import bracket_of
from autodual.report.document import Row, finite_or_none, fraction

if TYPE_CHECKING:
    from autodual.certification import CascadeCertificate, Certificate

CASCADE_STATUSES = ("certified", "unknown", "misclassified")
GUARANTEE = "a perturbed input gets no other label, but may get none"


def cascade_row(index: int, found: CascadeCertificate) -> Row:
    """What a cascade says of one sample, as JSON data.

    `margin`, `margins` and the like are those of the stage that decided; null, or empty, where the cascade abstains.

    Args:
        index: the sample's position in its data set, from 0.
        found: what `certify_cascade` says of it.

    Example:
        >>> import autodual, torch
        >>> from autodual.report import cascade_row
        >>> cascade = autodual.Cascade([autodual.compile_dual(torch.nn.Identity())])
        >>> (found,) = autodual.certify_cascade(cascade, torch.tensor([[1.0, 0.0]]), autodual.LinfBall(0.1))
        >>> cascade_row(0, found)["stage"]
        1
    """
    decisive = None if found.stage is None else found.certificates[found.stage - 1]
    return {
        "index": index,
        "label": found.label,
        "predicted": found.predicted,
        "guess": found.guess,
        "status": found.status.value,
        "stage": found.stage,
        "disagreement": found.disagreement,
        "margin": None if decisive is None else finite_or_none(decisive.margin),
        "rounding_error": None if decisive is None else finite_or_none(decisive.rounding_error),
        "margins": [] if decisive is None else [finite_or_none(margin) for margin in decisive.margins],
        "method": None if decisive is None else decisive.method,
        "arithmetic": None if decisive is None else decisive.arithmetic,
        **_execution(found.certificates),
        "visits": [_visit(certificate) for certificate in found.certificates],
        **_attacked(found),
    }


def _attacked(found: CascadeCertificate) -> Row:
    """Whether an attack made the cascade give a wrong label, and where; empty where there was none."""
    if found.attacked is None:
        return {}
    point = found.counterexample
    return {"attacked": found.attacked, **({} if point is None else {"counterexample": point.tolist()})}


def _execution(visited: Sequence[Certificate]) -> Row:
    """By how much the margins of the stages that a sample visited may differ where they are run."""
    known = [one.execution_error for one in visited if one.execution_error is not None]
    largest = max(known) if len(known) == len(visited) else None
    return {
        "execution_arithmetic": visited[-1].execution,
        "execution_error": None if largest is None else finite_or_none(largest),
        "execution_reason": next((one.execution_reason for one in visited if one.execution_reason), ""),
    }


def _visit(certificate: Certificate) -> Row:
    """One stage's certificate, which is for its own class."""
    return {
        "predicted": certificate.predicted,
        "status": certificate.status.value,
        "margin": finite_or_none(certificate.margin),
        "rounding_error": finite_or_none(certificate.rounding_error),
        **({"decided_by": certificate.decided_by} if certificate.decided_by else {}),
    }


def summarise_cascade(rows: Sequence[Row], seconds: float) -> dict[str, Any]:
    """Counts and errors, as fractions of the samples processed.

    `certified_error` is 1 - certified/count: without labels, the samples that get none. `clean_error` is that of the
    guesses, None without labels. `disagreements` counts the samples for which the cascade abstains because some stage
    disagrees with the first; `by_stage` the labels that each stage certified. `bracket` is as `summarise_certificates`
    has it.

    Args:
        rows: as `cascade_row` makes them.
        seconds: of work.

    Example:
        >>> from autodual.report import summarise_cascade
        >>> summarise_cascade([], 0.0)["count"]
        0
    """
    count = len(rows)
    statuses = Counter(row["status"] for row in rows)
    stages = Counter(row["stage"] for row in rows if row["stage"] is not None)
    labelled = count > 0 and all(row["label"] is not None for row in rows)
    return {
        "count": count,
        "clean_error": fraction(sum(row["guess"] != row["label"] for row in rows), count) if labelled else None,
        "certified_error": fraction(count - statuses["certified"], count),
        "seconds": round(seconds, 3),
        **{status: statuses[status] for status in CASCADE_STATUSES},
        "disagreements": sum(row["disagreement"] is not None for row in rows),
        "by_stage": {str(stage): stages[stage] for stage in sorted(stages)},
        **bracket_of(rows, statuses["certified"]),
    }
