"""Which results of a run depend on chance, with what probability, and what their verdicts mean."""

from __future__ import annotations

from autodual.report.document import Row
from autodual.report.numbers import exact, number, plural
from autodual.report.page.kinds import MEANINGS, kind_of, rows_of
from autodual.report.probability import complement


def chance(document: Row) -> float:
    """The largest failure probability of any row."""
    return max((row.get("failure_probability", 0) for row in rows_of(document)), default=0)


def estimated(document: Row) -> int:
    """How many rows depend on random numbers."""
    return sum(row.get("failure_probability", 0) > 0 for row in rows_of(document))


def confidence(document: Row) -> str:
    """The probability with which each claim holds by itself, with all its digits: 0.9999999 must not look like 1."""
    return exact(complement(chance(document)))


def failure(document: Row) -> str:
    """The probability that a claim is wrong by chance, in words."""
    if chance(document) == 0:
        return "Deterministic: no step of the proofs depends on chance (failure probability 0)."
    some, rows = estimated(document), len(rows_of(document))
    owners = "has" if some == 1 else "have"
    others = f" The other {plural(rows - some, 'sample')} do{'es' * (rows - some == 1)} not depend on chance."
    return (
        f"NOT deterministic: {some:,} of {plural(rows, 'sample')} {owners} bounds from random projections. "
        f"The claim about {'it' if some == 1 else 'each of them'} may be wrong with a probability of up to "
        f"{number(chance(document))} (confidence {confidence(document)}).{others * (some < rows)}"
    )


def meaning(document: Row, verdict: str) -> str:
    """In a few words, what a verdict of this document means."""
    words = kind_of(document).meanings.get(verdict, MEANINGS.get(verdict, ""))
    if verdict == "probably certified":
        return f"{words}: {confidence(document)} for each by itself"
    return f"{words}, for certain" if verdict == "certified" and chance(document) > 0 else words
