"""What encloses the truth, in words: proofs from below, attacks from above, and what was decided exactly."""

from __future__ import annotations

from autodual.report.document import Row
from autodual.report.numbers import plural
from autodual.report.page.kinds import counts, rows_of


def bracketed(document: Row) -> list[str]:
    """Sentences on the bracket and on exact decisions; none where rows say nothing of them."""
    rows, found = rows_of(document), []
    attacked = [row["attacked"] for row in rows if isinstance(row.get("attacked"), bool)]
    if attacked:
        certified, unbroken = counts(document).get("certified", 0), len(rows) - sum(attacked)
        found.append(
            f"Of the {plural(len(rows), 'sample')}, at least {certified:,} (certified) and at most {unbroken:,} (not "
            "broken by the attack) are robust in truth. Certified samples were attacked, too."
        )
    efforts = [row["exact"] for row in rows if isinstance(row.get("exact"), dict)]
    if efforts:
        decided = sum(effort.get("finished") is True for effort in efforts)
        late = "" if decided == len(efforts) else f"; for {len(efforts) - decided:,} the time ran out"
        found.append(
            f"{plural(len(efforts), 'sample')} that bounds left open went to branch and bound, and {decided:,} of them "
            f"were decided exactly{late}. Every bound of a part was computed again from the multipliers of a linear "
            "program, rounding included."
        )
    return found
