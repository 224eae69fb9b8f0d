"""Rows and summary of a run that verifies properties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autodual.report.document import Row

if TYPE_CHECKING:
    from autodual.certification import Verdict


def verdict_row(index: int, verdict: Verdict, shape: Sequence[int]) -> Row:
    """One verdict as JSON data; the counterexample has the shape of a sample, its outputs are flat."""
    inputs, outputs = verdict.inputs, verdict.outputs
    return {
        "index": index,
        "status": str(verdict.status),
        "method": verdict.method,
        "case": verdict.case,
        "undecided_cases": verdict.undecided,
        "parts": verdict.parts,
        "seconds": round(verdict.seconds, 3),
        "counterexample": None if inputs is None else inputs.reshape(tuple(shape)).tolist(),
        "outputs": None if outputs is None else outputs.tolist(),
    }


def summarise_verdicts(rows: Sequence[Row], seconds: float) -> dict[str, Any]:
    """How many properties got each verdict."""
    counts = {status: sum(row["status"] == status for row in rows) for status in ("sat", "unsat", "unknown", "timeout")}
    return {"count": len(rows), "seconds": round(seconds, 3), **counts}
