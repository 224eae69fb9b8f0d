"""Comparing rows: verdicts must be equal, numbers equal up to the rounding that the second run counted itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from autodual.policies import COARSEST_RESOLUTION, RADIUS_RESOLUTION
from autodual.report.comparison.compared_values import Allowance, compare_objects
from autodual.report.comparison.replay_outcome import Comparison
from autodual.report.document import Row
from autodual.report.numbers import finite

# Rounding errors are sums of magnitudes, and other hardware adds in another order.
_SAME_ROUNDING = 1e-3
# Attacks follow gradients, whose rounding differs from machine to machine: relative to 1 + the number.
SAME_RUN = 1e-4
_ATTACKED = ("margin", "clean_margin", "distance_linf", "distance_l2", "distance_l1")
_ROUNDING = ("rounding_error", "execution_error")
# Points, and what a network returned for them, may differ between runs; running the network checks them instead.
_CHECKED_OTHERWISE = frozenset({"counterexample", "reached", "outputs", "seconds", "exact"})


# What an exact decision says of a sample.
_OF_DECISION = frozenset({"status", "margin", "margins", "method", "arithmetic", "original", "attacked"})


def compare(
    schema: str,
    settings: Mapping[str, Any],
    recorded: Sequence[Row],
    now: Sequence[Row],
    *,
    tolerance: float | None = None,
    leave: frozenset[str] = frozenset(),
    other_version: bool = False,
) -> Comparison:
    """Compare rows of the same indices, in the same order; whatever has no rule of its own must be equal.

    Margins may be apart by twice the rounding error that the second run counts: each of the two lies within one of
    them of the bound in exact arithmetic. What the document records of its own rounding allows nothing. Radii may be
    apart by twice the resolution of the search, but zero only equals zero. Margins and distances of attacks, which have
    no bound of their rounding, may be apart by `SAME_RUN`. `tolerance` replaces all of these allowances.

    Args:
        settings: of the second run.
        leave: keys that the caller compares in another way.
        other_version: the document is of another version of autodual, which may have had fewer keys.
    """
    outcome = Comparison(other_version=other_version)
    limit = finite(settings.get("max_radius")) or 0.0
    resolution = finite(settings.get("tolerance", RADIUS_RESOLUTION)) or 0.0
    radii = 2 * min(resolution, COARSEST_RESOLUTION) * limit if tolerance is None else tolerance
    for before, after in zip(recorded, now, strict=True):
        outcome.compared += 1
        reach = radii
        if (before.get("radius") == 0) != (after.get("radius") == 0):
            reach = 0.0  # something was certified in one run and nothing in the other
        attacked = schema == "autodual.attack/1"
        own = leave
        if before.get("status") != after.get("status") and (_late(before) or _late(after)):
            own = leave | _OF_DECISION
            outcome.skipped.append(f"the status of sample {before['index']}: the time of its exact decision ran out")
        allowance = _attacked(tolerance) if attacked else _allowance(reach, tolerance)
        elsewhere = _CHECKED_OTHERWISE - ({"reached"} if attacked else set())
        compare_objects(outcome, before["index"], before, after, allowance, leave=own | elsewhere)
        if schema != "autodual.verify/1" and ("counterexample" in before) != ("counterexample" in after):
            held, found = ("a point" if "counterexample" in row else "none" for row in (before, after))
            outcome.add(before["index"], "counterexample", held, found)
    return outcome


def _late(row: Row) -> bool:
    """Whether the time of an exact decision ran out."""
    effort = row.get("exact")
    return isinstance(effort, dict) and effort.get("finished") is False


def _attacked(tolerance: float | None) -> Allowance:
    def allowance(key: str, now: Mapping[str, Any]) -> float | None:
        if key not in _ATTACKED:
            return None
        return SAME_RUN * (1 + abs(finite(now.get(key)) or 0.0)) if tolerance is None else tolerance

    return allowance


def _of_bound(now: Mapping[str, Any], rounding: float) -> float:
    """Twice the rounding error; a search of programs ends where it has proved enough, or where its time is over."""
    return math.inf if isinstance(now.get("exact"), dict) else 2 * rounding


def _allowance(radius: float, tolerance: float | None) -> Allowance:
    def allowance(key: str, now: Mapping[str, Any]) -> float | None:
        rounding = finite(now.get("rounding_error")) or 0.0
        if key in ("margin", "margins"):
            return _of_bound(now, rounding) if tolerance is None else tolerance
        if key in _ROUNDING:
            return max(_SAME_ROUNDING * (finite(now.get(key)) or 0.0), tolerance or 0.0)
        return radius if key == "radius" else None

    return allowance
