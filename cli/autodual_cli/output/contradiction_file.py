"""The file that keeps what a contradiction between a bound and a point was found with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from autodual.errors import ContradictionError, DataError
from autodual.files.writing import is_stream, write_text


def kept(error: ContradictionError, settings: Mapping[str, Any], beside: Path | None) -> ContradictionError:
    """The error, once its evidence and the run's settings are in a file that its message names.

    beside: a result file of the run, in whose folder the new one is put; else it is put into the current folder. No
    file is ever replaced: another name is taken.
    """
    document = {"schema": "autodual.contradiction/1", "settings": dict(settings), "evidence": error.evidence}
    text = json.dumps(document, indent=1) + "\n"
    folder = Path() if beside is None or is_stream(beside) else beside.parent
    stem = f"contradiction-{hashlib.sha256(json.dumps(error.evidence).encode()).hexdigest()[:12]}"
    for number in count(1):
        path = folder / (f"{stem}.json" if number == 1 else f"{stem}-{number}.json")
        if not path.exists():
            break
    try:
        write_text(path, text, overwrite=False)
    except DataError as unwritten:
        return ContradictionError(f"{error}. {unwritten} So here it is: {json.dumps(error.evidence)}", error.evidence)
    return ContradictionError(f"{error}, which is in '{path}'", error.evidence)
