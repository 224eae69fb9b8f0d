"""Compares all of a document except its rows with the new run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from autodual.report.comparison import Comparison, compare_settings, compare_summary, compare_whole
from autodual.report.document import ROWS_KEY, Row
from autodual.report.page.consistency import unfinished
from autodual_cli.replaying.command_agreement import compare_command

Summarise = Callable[[Sequence[Row], float], dict[str, Any]]


def compare_document(outcome: Comparison, document: Row, now: dict[str, Any], summarise: Summarise) -> None:
    """Compare the summary with the document's own rows, and the settings with those of the new run."""
    rows = document[ROWS_KEY[document["schema"]]]
    compare_whole(outcome, document)
    compare_summary(outcome, document["summary"], summarise(rows, document["summary"]["seconds"]))
    compare_settings(outcome, document["settings"], now)
    compare_command(outcome, document["settings"])
    _compare_range(outcome, document["settings"], rows)
    early = unfinished(document)
    if early is not None:
        outcome.skipped.append(early)


def _compare_range(outcome: Comparison, settings: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Rows must be of the samples that were asked for."""
    skip, limit = settings.get("skip"), settings.get("limit")
    for row in rows:
        if type(skip) is int and (row["index"] < skip or (type(limit) is int and row["index"] >= skip + limit)):
            outcome.add(row["index"], "index", row["index"], f"not among the samples from {skip} on")


def changes(settings: dict[str, Any], current: dict[str, Any]) -> list[str]:
    """Versions, device and code that changed since; they may explain differences, but do not count as such."""
    if not isinstance(settings.get("provenance"), dict):
        return ["not known: the document has no provenance"]
    before, now = _circumstances(settings["provenance"]), _circumstances(current["provenance"])
    keys = [*now, *(key for key in before if key not in now)]
    return [f"{key}: {before.get(key)}, now {now.get(key)}" for key in keys if before.get(key) != now.get(key)]


def _circumstances(record: dict[str, Any]) -> dict[str, Any]:
    """What may change a result even with the same model, data and settings."""
    versions, files = record.get("versions"), record.get("files")
    known = [file for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    code = [f"sha256 {file.get('sha256')}" for file in known if file.get("role") == "architecture"]
    return {
        **(versions if isinstance(versions, dict) else {}),
        "autodual's source": record.get("source_sha256"),
        "device": record.get("device"),
        "platform": record.get("platform"),
        "code of --arch": code[0] if code else None,
        "names of files": ", ".join(PurePath(str(file.get("path"))).name for file in known),
    }
