"""The common form of all JSON documents: a schema's name, the settings, a summary and one row per sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]

ROWS_KEY = {
    "autodual.certify/1": "certificates",
    "autodual.cascade/1": "certificates",
    "autodual.radius/1": "radii",
    "autodual.detect/1": "detections",
    "autodual.verify/1": "verdicts",
    "autodual.attack/1": "samples",
    "autodual.bench/1": "instances",
}

# Keys of a row that summaries read, with the types they may have.
ROW_FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "autodual.certify/1": {
        "label": (int, type(None)),
        "predicted": (int, type(None)),
        "status": (str,),
        "margin": (int, float, type(None)),
        "failure_probability": (int, float),
        "assumptions": (list,),
    },
    "autodual.cascade/1": {
        "label": (int, type(None)),
        "predicted": (int, type(None)),
        "guess": (int,),
        "status": (str,),
        "stage": (int, type(None)),
        "disagreement": (int, type(None)),
        "margin": (int, float, type(None)),
    },
    "autodual.radius/1": {"radius": (int, float, type(None))},
    "autodual.detect/1": {"flagged": (bool,)},
    "autodual.verify/1": {"status": (str,)},
    "autodual.attack/1": {
        "label": (int, type(None)),
        "predicted": (int, type(None)),
        "status": (str,),
        "margin": (int, float, type(None)),
        "broken_by": (list,),
        "broken_in": (list,),
        "warnings": (list,),
    },
    "autodual.bench/1": {
        "network": (str,),
        "property": (str,),
        "expected": (str, type(None)),
        "status": (str,),
        "seconds": (int, float),
        "cpu_seconds": (int, float, type(None)),
        "parts": (int,),
    },
}

# Keys that rows of label maps have in addition: all of them or none.
LABEL_MAP_FIELDS: dict[str, type] = {
    "positions": int,
    "positions_certified": int,
    "positions_correct": int,
    "label_map": dict,
}

# Optional settings that every page reads, with the types they may have.
SETTINGS_FIELDS: dict[str, tuple[type, ...]] = {
    "data": (str, type(None)),
    "data_description": (str, type(None)),
    "domain": (list, type(None)),
    "model": (str, type(None)),
    "set": (str, type(None)),
}

# Settings of how, where and when the work was done. They change no sample's result, so a resumed run may choose
# them anew. That the files' content is the same is checked by their SHA-256, which are not among them.
ARRANGEMENT = frozenset(
    {
        "batch_size",
        "box",
        "data_dir",
        "device",
        "instances",
        "jobs",
        "limit",
        "memory_bytes",
        "provenance",
        "save_points",
        "skip",
        "specification_words",
        "threads",
        "unsafe_load",
        "version",
    }
)


def build_document(schema: str, settings: Mapping[str, Any], summary: Mapping[str, Any], rows: Sequence[Row]) -> Row:
    """A document ready for `json.dumps(..., allow_nan=False)`, its rows sorted by `index`.

    Args:
        schema: its name, such as `autodual.detect/1`.
        settings: what was asked for, with its provenance.
        summary: as the `summarise_…` function of the schema makes it of the rows.
        rows: one a sample.

    Example:
        >>> from autodual.report import build_document, detection_row, summarise_detections
        >>> rows = [detection_row(1, None, False), detection_row(0, 7, True)]
        >>> document = build_document("autodual.detect/1", {"eps": 0.1}, summarise_detections(rows, 0.5), rows)
        >>> [row["index"] for row in document["detections"]]
        [0, 1]
    """
    ordered = sorted(rows, key=lambda row: row["index"])
    return {"schema": schema, "settings": dict(settings), "summary": dict(summary), ROWS_KEY[schema]: ordered}


def finite_or_none(value: float) -> float | None:
    """The number, or None in place of NaN and infinity, which JSON does not have.

    Args:
        value: a float.

    Example:
        >>> from autodual.report import finite_or_none
        >>> finite_or_none(0.5), finite_or_none(float("nan"))
        (0.5, None)
    """
    return float(value) if math.isfinite(value) else None


def fraction(part: int, whole: int) -> float | None:
    """part / whole, or None of nothing."""
    return part / whole if whole else None
