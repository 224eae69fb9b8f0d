"""Compares a document's summary and settings, and notes keys that no document has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autodual.report.comparison.compared_values import compare_objects
from autodual.report.comparison.replay_outcome import Comparison
from autodual.report.document import ARRANGEMENT, ROWS_KEY, Row
from autodual.report.numbers import finite

# Sums of the same numbers, which versions of Python may add in another order.
_SAME_SUM = 1e-12
# Where files are now is not where they were; that they are the same is decided by their SHA-256. Code is named where it
# changed.
_PLACES = frozenset({"arch", "model", "data", "property"})


def compare_whole(outcome: Comparison, document: Row) -> None:
    """Note keys that are not parts of a document."""
    for key in document.keys() - {"schema", "settings", "summary", ROWS_KEY[document["schema"]]}:
        outcome.add("document", key, document[key], None)


def compare_summary(outcome: Comparison, recorded: Mapping[str, Any], rows: Mapping[str, Any]) -> None:
    """Note where a document's summary differs from `rows`, the summary of its own rows."""

    def allowance(key: str, now: Mapping[str, Any]) -> float | None:
        value = finite(now.get(key))
        return _SAME_SUM * abs(value) if isinstance(value, float) and not isinstance(now[key], int) else None

    largest = outcome.largest
    compare_objects(outcome, "summary", recorded, rows, allowance, leave=frozenset({"seconds"}))
    outcome.largest = largest  # of numbers that were computed again


def compare_settings(outcome: Comparison, recorded: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Note where settings differ from those of the second run, which was started from them."""
    arrangement = (ARRANGEMENT | _PLACES) - {"specification_words"}
    compare_objects(outcome, "settings", _with_box_of_now(recorded, now), now, leave=arrangement)
    before, after = recorded.get("provenance"), now.get("provenance")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return
    for key in ("samples", "units"):
        if before.get(key) != after.get(key):
            outcome.add("provenance", key, before.get(key), after.get(key))
    versions = before.get("versions")
    if isinstance(versions, dict) and versions.get("autodual") != recorded.get("version"):
        outcome.add("settings", "version", recorded.get("version"), f"{versions.get('autodual')}, in the provenance")
    _compare_files(outcome, before.get("files"), after["files"])


def _with_box_of_now(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings, the words for the set naming the files of its box as they are named now."""
    words, before, after = recorded.get("set"), recorded.get("box"), now.get("box")
    if not (isinstance(words, str) and isinstance(before, str) and before and isinstance(after, str)):
        return recorded
    return {**recorded, "set": words.replace(before, after)}


def _compare_files(outcome: Comparison, recorded: Any, now: list[dict[str, str]]) -> None:
    """The files that were read must have been the same; code of the user's own is only named where it changed."""
    if not isinstance(recorded, list) or not all(isinstance(file, dict) for file in recorded):
        outcome.add("provenance", "files", recorded, f"{len(now)} files")
        return
    pairs = [[(file.get("role"), file.get("sha256")) for file in files] for files in (recorded, now)]
    before, after = ([pair for pair in files if pair[0] != "architecture"] for files in pairs)
    for place in range(max(len(before), len(after))):
        first, second = (files[place] if place < len(files) else None for files in (before, after))
        if first != second:
            outcome.add("provenance", f"files[{place}]", first, second)
