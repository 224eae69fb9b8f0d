"""Writing files so that no reader ever sees half of one."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from os import PathLike
from pathlib import Path

from autodual.errors import DataError


def write_text(path: str | PathLike[str], text: str) -> None:
    """Replace the file by `text` in UTF-8, or leave it as it was.

    Raises:
        DataError: the file cannot be written.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | PathLike[str], content: bytes) -> None:
    """Replace the file by `content`, or leave it as it was: a temporary file beside it takes its place when complete.

    Raises:
        DataError: the file cannot be written.
    """
    temporary = None
    try:
        target = Path(path).resolve()  # a link stays, the file it names is replaced
        if target.exists() and not target.is_file():
            raise DataError(f"'{path}' cannot be written: it is a folder or a device, not a file.")
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        raise DataError(f"'{path}' cannot be written: {error.strerror}.") from None
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def clear_leftovers(path: str | PathLike[str]) -> None:
    """Remove the temporary files that killed processes left while they wrote `path`, and nothing else.

    No other process may be writing the file meanwhile. What cannot be removed stays.
    """
    target = Path(path)
    made = re.compile(rf"\.{re.escape(target.name)}\.[a-z0-9_]{{8}}\.tmp")
    with suppress(OSError):
        for file in target.parent.iterdir():
            if made.fullmatch(file.name):
                file.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
