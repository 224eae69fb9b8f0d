"""Keeping two processes from writing the same file at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path

from autodual.errors import InvalidInputError
from autodual.files.own_names import own_name
from autodual.files.writing import clear_leftovers

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]


@contextmanager
def sole_writer(path: str | PathLike[str]) -> Iterator[None]:
    """Lock `path` against other processes that use this function, and remove temporary files of killed ones.

    The lock is on a hidden file beside `path`, which is never followed if it is a link, never written to, and removed
    at the end. The lock ends with this process, however that ends.

    Raises:
        InvalidInputError: another process holds the lock, or the folder is not writable.
    """
    target = Path(os.path.realpath(path))
    lock = target.with_name(own_name(target.name, "lock"))
    descriptor = _locked(path, lock)
    try:
        clear_leftovers(target)
        yield
    finally:
        with suppress(OSError):
            os.unlink(lock)
        os.close(descriptor)


def _locked(path: str | PathLike[str], lock: Path) -> int:
    """An open descriptor of the lock file, locked by this process and still the file of that name."""
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as error:
            raise InvalidInputError(f"'{path}' cannot be written: {error.strerror}.") from None
        if fcntl is None:
            return descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise InvalidInputError(
                f"Another process is writing '{path}'; wait for it to end, or name another file."
            ) from None
        except OSError:  # this file system has no locks
            return descriptor
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(lock), os.fstat(descriptor)):
                return descriptor
        os.close(descriptor)  # the previous holder has just removed the file: try again
