"""Which colour a verdict has. The names are classes of `templates/style.css`."""

from __future__ import annotations

_CLASSES = {
    "certified": "good",
    "probably certified": "likely",
    "unsat": "good",
    "positive": "good",
    "not flagged": "good",
    "falsified": "bad",
    "broken": "bad",
    "sat": "bad",
    "resists": "likely",
    "unknown": "open",
    "timeout": "open",
    "flagged": "open",
    "zero": "open",
}


def verdict_colour(verdict: str) -> str:
    """The colour class of a verdict; one for all verdicts that are not listed."""
    return _CLASSES.get(verdict, "other")
