"""Reading files whole, where they are files and not larger than a file may be."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

from autodual.limits.budgets import FILE, MEMORY


def read_file(path: str | os.PathLike[str], *, kept: int = 1) -> bytes:
    """All bytes of an ordinary file.

    kept: how many bytes of memory the caller makes of each.

    Raises:
        BudgetError: there are more than `FILE`, or `MEMORY`, allows.
        OSError: there is no such file, it cannot be read, or it is a folder, a device or a pipe, which may never end.
    """
    with open_file(path) as file:
        MEMORY.require(str(path), "its content", kept * os.fstat(file.fileno()).st_size)
        return file.read()


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """An ordinary file, opened for reading its bytes; raises as `read_file` does, but for `MEMORY`."""
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
