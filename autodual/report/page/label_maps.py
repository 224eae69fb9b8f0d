"""What a table says of a row whose labels are a map, such as those of a per-pixel classifier."""

from __future__ import annotations

from collections import Counter
from typing import Any

from autodual.report.document import Row

LABELS = ("label", "predicted")
#: The column that only label maps have.
POSITIONS = "certified positions"

_FEW = 4


def of_label_map(row: Row, column: str) -> str | None:
    """How many positions are right or certified, and which classes they get; None where no labels were given."""
    if column == POSITIONS:
        return f"{row['positions_certified']:,} of {row['positions']:,}"
    if column == "predicted":
        return _classes(row["label_map"])
    if row["label_map"].get("labelled") is not True:
        return None
    return f"{row['positions_correct']:,} of {row['positions']:,} right"


def _classes(label_map: dict[str, Any]) -> str:
    """Each class and its count of positions where they are few, such as 0 (12), 3 (4); those to be ignored apart."""
    predicted, certified = label_map.get("predicted"), label_map.get("certified")
    if not (isinstance(predicted, list) and isinstance(certified, list)):
        return "map"
    pairs = zip(predicted, certified, strict=False)
    counts = Counter(one for one, sure in pairs if isinstance(one, int) and sure is not None)
    if not counts or len(counts) > _FEW:
        return f"map of {len(counts)} classes" if counts else "map"
    return ", ".join(f"{one} ({count:,})" for one, count in sorted(counts.items()))
