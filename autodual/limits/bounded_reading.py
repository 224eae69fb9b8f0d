"""Reading whole files, if they are ordinary files and within their budgets."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

from autodual.limits.budgets import FILE, MEMORY


def read_file(path: str | os.PathLike[str], *, kept: int = 1) -> bytes:
    """All bytes of an ordinary file.

    Args:
        path: the file.
        kept: bytes of memory that the caller will use for each byte of the file.

    Raises:
        BudgetError: there are more bytes than `FILE` or `MEMORY` allows.
        OSError: the file does not exist or cannot be read, or is a folder, a device or a pipe, which may never end.

    Example:
        >>> from pathlib import Path
        >>> from autodual.limits import read_file
        >>> _ = Path("small.bin").write_bytes(b"abc")
        >>> read_file("small.bin")
        b'abc'
    """
    with open_file(path) as file:
        MEMORY.require(str(path), "its content", kept * os.fstat(file.fileno()).st_size)
        return file.read()


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """An ordinary file, opened for reading its bytes.

    Args:
        path: the file.

    Raises:
        BudgetError: it has more bytes than `FILE` allows.
        OSError: as in `read_file`.

    Example:
        >>> from pathlib import Path
        >>> from autodual.limits import open_file
        >>> _ = Path("small.bin").write_bytes(b"abc")
        >>> with open_file("small.bin") as file:
        ...     file.read(2)
        b'ab'
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is a device or a pipe, not a file", os.fspath(path))
        FILE.require(str(path), "reading it", status.st_size)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise
