"""What differs between the schemas: the title, the verdict of a row and which number of a row is its worst."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autodual.report.attacked import ATTACK_STATUSES
from autodual.report.benchmark_score import OUTCOMES
from autodual.report.cascades import CASCADE_STATUSES, GUARANTEE
from autodual.report.certificates import STATUSES
from autodual.report.document import ROWS_KEY, Row

# What a verdict means, shortly; the colours of style.py carry the same names.
MEANINGS = {
    "certified": "proved for every point of the set",
    "probably certified": "proved with a probability",
    "falsified": "a counterexample is known",
    "unknown": "neither proved nor refuted",
    "misclassified": "the sample itself gets another class",
    "positive": "a radius above 0 was certified",
    "zero": "nothing was certified",
    "not flagged": "no input of another class in the set",
    "flagged": "may be adversarial",
    "unsat": "proved: the property's violation cannot occur",
    "sat": "a violating input is known",
    "timeout": "the time was up",
}


DISTANCES = ("distance_linf", "distance_l2", "distance_l1")


@dataclass(frozen=True)
class Kind:
    """One schema. `verdict` names a row's outcome; `measure` is the row's key whose smallest values are the worst;
    `meanings` are those of verdicts that mean something else than in other schemas; `caption` says what the measure is.
    """

    title: str
    verdict: Callable[[Row], str]
    verdicts: Sequence[str]
    measure: str | None = None
    columns: Sequence[str] = ()
    unit: str = "sample"
    meanings: Mapping[str, str] = field(default_factory=dict)
    caption: str = ""


def _status(row: Row) -> str:
    return str(row.get("status"))


def _radius(row: Row) -> str:
    return "positive" if (row.get("radius") or 0) > 0 else "zero"


def _flag(row: Row) -> str:
    # Only the explicit False is a claim.
    return "not flagged" if row.get("flagged") is False else "flagged"


_KINDS = {
    "autodual.certify/1": Kind(
        "Certification",
        _status,
        STATUSES,
        "margin",
        ("index", "label", "predicted", "status", "margin", "rounding_error", "arithmetic"),
        caption="margin that is proved; positive where the property is",
    ),
    "autodual.cascade/1": Kind(
        "Certification with a cascade",
        _status,
        CASCADE_STATUSES,
        meanings={
            "certified": f"its label is certified: {GUARANTEE}",
            "unknown": "the cascade gives no label",
            "misclassified": "another class than its label is certified",
        },
    ),
    "autodual.radius/1": Kind(
        "Certified radii",
        _radius,
        ("positive", "zero"),
        "radius",
        ("index", "label", "radius"),
        caption="certified radius",
    ),
    "autodual.attack/1": Kind(
        "Attack",
        _status,
        ATTACK_STATUSES,
        "margin",
        ("index", "label", "predicted", "reached", "status", "attack", "margin", *DISTANCES),
        meanings={
            "resists": "nothing was found, which proves nothing",
            "broken": "a point at which the property fails is known",
            "misclassified": "the property fails at the sample itself",
        },
        caption="margin at the worst point; negative where the sample is broken",
    ),
    "autodual.detect/1": Kind("Detection", _flag, ("not flagged", "flagged"), None, ("index", "label", "flagged")),
}

_KINDS["autodual.bench/1"] = Kind(
    "Benchmark",
    _status,
    OUTCOMES,
    columns=("network", "property", "status", "expected", "points", "seconds", "cpu_seconds", "method"),
    unit="instance",
    meanings={"error": "the verifier failed"},
)

_VERIFICATION = Kind(
    "Verification",
    _status,
    ("unsat", "sat", "unknown", "timeout"),
    columns=("property", "status", "method", "undecided_cases", "parts", "seconds"),
    unit="property",
)


def kind_of(document: Row) -> Kind:
    """The kind of a document; one without words of its own here is shown by the `status` of its rows."""
    return _KINDS.get(document["schema"], _VERIFICATION)


def rows_of(document: Row) -> list[Row]:
    """The rows of a document."""
    return document[ROWS_KEY[document["schema"]]]


def counts(document: Row) -> dict[str, int]:
    """How many rows have each verdict: those that the kind knows first, then any other."""
    kind = kind_of(document)
    found: Counter[str] = Counter(kind.verdict(row) for row in rows_of(document))
    return {name: found.pop(name, 0) for name in kind.verdicts} | dict(sorted(found.items()))


def shown_counts(document: Row) -> dict[str, int]:
    """The same without the verdict that only runs with random projections give, where no row has it."""
    return {name: count for name, count in counts(document).items() if count or name != "probably certified"}


def settings_of(document: Row) -> dict[str, Any]:
    """The settings of a document."""
    return document["settings"]
