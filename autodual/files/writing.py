"""Writing files atomically: no reader sees half a file, and no file is replaced by mistake."""

from __future__ import annotations

import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path

from autodual.errors import DataError
from autodual.files.own_names import own_name

_TEMPORARY = re.compile(r"[a-z0-9_]{8}\.tmp")


def write_text(path: str | PathLike[str], text: str, *, overwrite: bool = True) -> None:
    """Write `text` as UTF-8, as `write_bytes` does.

    Lone surrogates, Python's form for undecodable parts of file names, are written as `\\udcff`.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"), overwrite=overwrite)


def write_bytes(path: str | PathLike[str], content: bytes, *, overwrite: bool = True) -> None:
    """Make `content` the content of the file, or change nothing if that fails.

    A temporary file beside it replaces it when complete. A link is followed. A pipe, a terminal or another stream
    (`/dev/stdout`) is written to rather than replaced.

    Args:
        path: the file.
        content: all of its bytes.
        overwrite: whether an existing file is replaced; it keeps its permissions.

    Raises:
        DataError: the file cannot be written, or exists and `overwrite` is false.
    """
    try:
        if is_stream(path):
            _send(path, content)
        else:
            _place(Path(os.path.realpath(path)), content, overwrite)
    except FileExistsError:
        raise DataError(f"'{path}' exists already and was left as it was; write to another file.") from None
    except OSError as error:
        raise DataError(f"'{path}' cannot be written: {error.strerror}.") from None


def is_stream(path: str | PathLike[str]) -> bool:
    """Whether the path is written *to*, not replaced: a pipe, a terminal, or an output of this process.

    Raises:
        DataError: the path cannot be examined, or is a folder or a device that is no stream.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DataError(f"'{path}' cannot be written: {error.strerror}.") from None
    if _standard_output(found) is not None or stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode):
        return True
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"'{path}' cannot be written: it is a folder or a device, not a file.")
    return False


def clear_leftovers(path: str | PathLike[str]) -> None:
    """Remove the temporary files of processes that were killed while writing `path`, and nothing else.

    No other process may be writing the file. Files that cannot be removed stay.
    """
    target = Path(os.path.realpath(path))
    prefix = own_name(target.name, "")
    with suppress(OSError):
        for file in target.parent.iterdir():
            if file.name.startswith(prefix) and _TEMPORARY.fullmatch(file.name[len(prefix) :]):
                file.unlink(missing_ok=True)


def _standard_output(found: os.stat_result) -> int | None:
    """The descriptor, 1 or 2, if the file is this process's standard output or error; else None."""
    for descriptor in (1, 2):
        with suppress(OSError):
            if os.path.samestat(found, os.fstat(descriptor)):
                return descriptor
    return None


def _send(path: str | PathLike[str], content: bytes) -> None:
    descriptor = _standard_output(os.stat(path))
    if descriptor is None:
        with open(path, "wb", buffering=0) as stream:
            _write_all(stream.fileno(), content)
        return
    for printed in (sys.stdout, sys.stderr):
        if printed is not None:
            printed.flush()  # keep the order of what was printed before
    _write_all(descriptor, content)


def _place(target: Path, content: bytes, overwrite: bool) -> None:
    with _temporary_file(target) as (descriptor, temporary):
        _write_all(descriptor, content)
        os.fsync(descriptor)
        if overwrite:
            with suppress(FileNotFoundError):
                os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
            os.replace(temporary, target)
        else:
            _place_new(temporary, target)


@contextmanager
def _temporary_file(target: Path) -> Iterator[tuple[int, Path]]:
    """A new file beside the target, open for writing; removed at the end unless it was moved."""
    temporary = target.with_name(own_name(target.name, f"{secrets.token_hex(4)}.tmp"))
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        try:
            yield descriptor, temporary
        finally:
            os.close(descriptor)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def _place_new(temporary: Path, target: Path) -> None:
    """Give the temporary file the target's name; FileExistsError if that exists, even since a moment ago."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # some file systems have no hard links
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        os.replace(temporary, target)


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
