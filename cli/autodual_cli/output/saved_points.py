"""Where the files that a document names are now, and the points that `--save-points` kept beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autodual.report.document import Row
from autodual.report.point_file import with_points


def place_of(recorded: str, settings: Mapping[str, Any]) -> Path:
    """Where a file is now: relative to the current folder, or else to the folder that the run was started in."""
    provenance = settings.get("provenance")
    folder = provenance.get("directory") if isinstance(provenance, dict) else None
    # Unlike Path.exists, this does not raise for names that are too long.
    if not os.path.exists(recorded) and isinstance(folder, str) and os.path.exists(Path(folder) / recorded):
        return Path(folder) / recorded
    return Path(recorded)


def with_saved_points(
    rows: Sequence[Row], settings: Mapping[str, Any], given: Path | None
) -> tuple[list[Row], list[str]]:
    """The rows with the points that the run saved, and in words what cannot be found.

    given: where the file of points is now, if that was said.

    Raises:
        DataError: the file is damaged, or no file of points.
    """
    saved = settings.get("save_points")
    if given is None and not isinstance(saved, str):
        return list(rows), []
    path = place_of(str(saved), settings) if given is None else given
    if given is None and not os.path.exists(path):
        return list(rows), [
            f"the points that were saved in '{saved}', which is not there; --points says where they are"
        ]
    return with_points(rows, path), []
