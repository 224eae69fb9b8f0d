"""One line for tables and reports on how far a floating-point run may differ from what was proved."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Context, Decimal

from autodual.report.document import Row

_REAL = "of the network in real arithmetic"
_TWO_DIGITS = Context(prec=2, rounding=ROUND_CEILING)


def execution_line(rows: Sequence[Row], *, deployed: bool) -> str:
    """Which network the margins are of, and by how much an execution of it may differ.

    deployed: whether only margins beyond that difference were counted. Rows of earlier versions do not record it.
    """
    kinds = sorted({str(row["execution_arithmetic"]) for row in rows if row.get("execution_arithmetic")})
    if not kinds:
        return f"{_REAL}; a floating-point execution may differ by its own rounding errors"
    what = f"{kinds[0]} execution"
    reasons = sorted({str(row["execution_reason"]) for row in rows if row.get("execution_reason")})
    errors = [row.get("execution_error") for row in rows]
    known = [error for error in errors if isinstance(error, (int, float))]
    because = f": {reasons[0]}" if reasons else ""
    if not known:
        return f"{_REAL}; {what} may differ, by how much is not known{because}"
    if len(known) < len(errors):
        return f"{_REAL}; {what} may differ, with no finite bound for some samples{because}"
    largest = f"{float(_TWO_DIGITS.create_decimal(Decimal(max(known)))):.2g}"
    if deployed:
        return f"{_REAL} and of any {what} (sums in any order), which may differ by up to {largest}"
    return f"{_REAL}; {what} may differ by up to {largest}"
