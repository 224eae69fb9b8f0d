"""Comparing values as JSON has them: lists and objects part by part, some numbers up to an allowance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autodual.report.comparison.replay_outcome import Comparison
from autodual.report.numbers import finite

#: How far the number `key` of an object may be from the second run's, given that run's whole object; None: not at all.
Allowance = Callable[[str, Mapping[str, Any]], float | None]


def exactly(key: str, now: Mapping[str, Any]) -> None:
    """The allowance where nothing may be apart."""


def compare_objects(
    outcome: Comparison,
    index: int | str,
    recorded: Mapping[str, Any],
    now: Mapping[str, Any],
    allowance: Allowance = exactly,
    *,
    prefix: str = "",
    leave: frozenset[str] = frozenset(),
) -> None:
    """Note all differences between two objects, but for the keys `leave`; a key that is absent counts as null."""
    for key in [*recorded, *(key for key in now if key not in recorded)]:
        if outcome.other_version and key not in recorded:
            outcome.unsaid.add(key)
        elif key not in leave:
            first, second = recorded.get(key), now.get(key)
            _compare(outcome, index, f"{prefix}{key}", first, second, allowance, allowance(key, now))


def _compare(
    outcome: Comparison,
    index: int | str,
    key: str,
    recorded: Any,
    now: Any,
    allowance: Allowance,
    allowed: float | None,
) -> None:
    if isinstance(recorded, dict) and isinstance(now, dict):
        compare_objects(outcome, index, recorded, now, allowance, prefix=f"{key}.")
    elif isinstance(recorded, list) and isinstance(now, list):
        if len(recorded) != len(now):
            outcome.add(index, key, _length(recorded), _length(now))
            return
        for place, (first, second) in enumerate(zip(recorded, now)):
            _compare(outcome, index, f"{key}[{place}]", first, second, allowance, allowed)
    elif allowed is not None:
        _compare_numbers(outcome, index, key, recorded, now, allowed)
    elif recorded != now or isinstance(recorded, bool) != isinstance(now, bool):
        outcome.add(index, key, recorded, now)


def _compare_numbers(outcome: Comparison, index: int | str, key: str, recorded: Any, now: Any, allowed: float) -> None:
    """Two numbers, or null for what is not finite: null only equals null."""
    first, second = finite(recorded), finite(now)
    if first is None or second is None:
        if recorded is not None or now is not None:
            outcome.add(index, key, recorded, now, allowed)
        return
    gap = abs(first - second)
    outcome.largest = max(outcome.largest, gap)
    if not gap <= allowed:
        outcome.add(index, key, recorded, now, allowed)


def _length(values: list[Any]) -> str:
    return f"{len(values)} values"
