"""Comparing a run with a second one of the same settings: verdicts must be equal, numbers equal up to rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autodual.report.document import Row
from autodual.report.page.numbers import finite

# `certified_radius` ends a search within this share of the largest radius, on either side of the same crossing.
RADIUS_RESOLUTION = 1e-4

# What must be equal in both rows; a key that neither row has is equal.
_EXACT = {
    "autodual.certify/1": (
        *("label", "predicted", "status", "failure_probability", "assumptions", "method"),
        *("positions", "positions_certified", "positions_correct", "label_map"),
    ),
    "autodual.cascade/1": ("label", "predicted", "guess", "status", "stage", "disagreement", "method"),
    "autodual.radius/1": ("label",),
    "autodual.detect/1": ("label", "flagged"),
}
_STATUS = ("status",)


@dataclass(frozen=True)
class Difference:
    """One value of one row that is not what it was; `allowed`: how far numbers may be apart, None where not at all."""

    index: int
    key: str
    recorded: Any
    now: Any
    allowed: float | None = None


@dataclass
class Comparison:
    """The outcome so far: `compared` rows, what differs, what could not be compared, and the largest gap of numbers."""

    compared: int = 0
    differences: list[Difference] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    largest: float = 0.0

    @property
    def agrees(self) -> bool:
        """Whether something was compared, and all of it agrees."""
        return self.compared > 0 and not self.differences


def compare(
    schema: str,
    settings: Mapping[str, Any],
    recorded: Sequence[Row],
    now: Sequence[Row],
    *,
    tolerance: float | None = None,
) -> Comparison:
    """Compare rows of the same indices, in the same order.

    Margins may be apart by the sum of the two rows' rounding errors: each lies within its own of the bound in exact
    arithmetic. Radii may be apart by twice the resolution of the search, but zero only equals zero. `tolerance`
    replaces both allowances.
    """
    outcome = Comparison()
    for before, after in zip(recorded, now, strict=True):
        outcome.compared += 1
        for key in _EXACT.get(schema, _STATUS):
            if before.get(key) != after.get(key):
                outcome.differences.append(Difference(before["index"], key, before.get(key), after.get(key)))
        if schema in ("autodual.certify/1", "autodual.cascade/1"):
            _compare_margins(outcome, before, after, tolerance)
        elif schema == "autodual.radius/1":
            _compare_radii(outcome, settings, before, after, tolerance)
    return outcome


def _compare_margins(outcome: Comparison, before: Row, after: Row, tolerance: float | None) -> None:
    index = before["index"]
    if before.get("arithmetic") != after.get("arithmetic"):
        change = f"{before.get('arithmetic')} then, {after.get('arithmetic')} now"
        outcome.skipped.append(f"the margins of sample {index}, which were decided in other arithmetic: {change}")
        return
    errors = [finite(row.get("rounding_error")) for row in (before, after)]
    allowed = sum(error for error in errors if error is not None) if tolerance is None else tolerance
    _compare_numbers(outcome, index, "margin", before.get("margin"), after.get("margin"), allowed)
    first, second = before.get("margins"), after.get("margins")
    if not isinstance(first, list) or not isinstance(second, list) or len(first) != len(second):
        outcome.differences.append(Difference(index, "margins", _length(first), _length(second)))
        return
    for place, pair in enumerate(zip(first, second)):
        _compare_numbers(outcome, index, f"margins[{place}]", *pair, allowed)


def _length(margins: Any) -> str:
    return f"{len(margins)} numbers" if isinstance(margins, list) else "none"


def _compare_radii(
    outcome: Comparison, settings: Mapping[str, Any], before: Row, after: Row, tolerance: float | None
) -> None:
    limit = finite(settings.get("max_radius")) or 0.0
    allowed = 2 * RADIUS_RESOLUTION * limit if tolerance is None else tolerance
    pair = (before["radius"], after["radius"])
    if (pair[0] == 0) != (pair[1] == 0):
        allowed = 0.0  # something was certified in one run and nothing in the other
    _compare_numbers(outcome, before["index"], "radius", *pair, allowed)


def _compare_numbers(outcome: Comparison, index: int, key: str, before: Any, after: Any, allowed: float) -> None:
    """Two numbers, or null for what is not finite: null only equals null."""
    first, second = finite(before), finite(after)
    if first is None and second is None:
        return
    if first is None or second is None:
        outcome.differences.append(Difference(index, key, before, after, allowed))
        return
    gap = abs(first - second)
    outcome.largest = max(outcome.largest, gap)
    if not gap <= allowed:
        outcome.differences.append(Difference(index, key, before, after, allowed))
