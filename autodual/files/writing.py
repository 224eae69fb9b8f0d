"""Writing files so that no reader ever sees half of one."""

from __future__ import annotations

import os
import tempfile
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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
