"""Checks of the files that a command is going to write."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from autodual.errors import InvalidInputError


def check_targets(targets: Sequence[Path | None], sources: Sequence[str | Path]) -> None:
    """Fail now rather than after hours of work, and never write over what was read.

    Raises:
        InvalidInputError: a target is no file, cannot be written, or is a source or another target.
    """
    taken = {os.path.realpath(source) for source in sources}
    for path in targets:
        if path is None:
            continue
        if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
            raise InvalidInputError(f"'{path}' cannot be written: its folder does not exist or is read-only.")
        if path.exists() and not path.is_file():
            raise InvalidInputError(f"'{path}' cannot be written: it is a folder or a device, not a file.")
        if os.path.realpath(path) in taken:
            raise InvalidInputError(f"'{path}' is already an input or another output; choose another name.")
        taken.add(os.path.realpath(path))
