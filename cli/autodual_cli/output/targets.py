"""The files that a command is going to write: checked before the work, written without harm to what was there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autodual.errors import DataError, InvalidInputError, reason_of
from autodual.files.locking import sole_writer
from autodual.files.writing import is_stream
from autodual_cli.process.interruption import shielded


@dataclass
class Target:
    """A file to write; `replace`: whether one that exists is replaced, since that was asked for or it is our own."""

    path: Path
    replace: bool

    @property
    def stream(self) -> bool:
        """Whether it is a pipe or the like, which can be written to only once."""
        return is_stream(self.path)

    def write(self, writer: Callable[..., Any], content: Any) -> None:
        """Call `writer(path, content, overwrite=…)`; a signal waits until a file, but not a stream, is complete.

        Raises:
            DataError: it cannot be written.
        """
        if self.stream:
            writer(self.path, content, overwrite=False)
            return
        with shielded():
            writer(self.path, content, overwrite=self.replace)
        self.replace = True

    def clear(self) -> None:
        """Remove what a file that may be replaced holds: it tells of other work than that which begins now.

        Raises:
            DataError: it cannot be removed.
        """
        if not self.replace or self.stream:
            return
        try:
            Path(os.path.realpath(self.path)).unlink(missing_ok=True)
        except OSError as error:
            raise DataError(f"'{self.path}' cannot be replaced: {reason_of(error)}.") from None


def check_targets(
    targets: Sequence[Path | None], sources: Sequence[str | Path], *, overwrite: bool, instead: str = ""
) -> None:
    """Fail now rather than after hours of work, and never write over what was read or what is not to be replaced.

    instead: what else can be given where a file exists, such as "--resume to go on from it".

    Raises:
        DataError: a target is a folder, or the system refuses its path.
        InvalidInputError: a target exists already, cannot be written, or is a source or another target.
    """
    taken = {_identity(source) for source in sources}
    for path in targets:
        if path is None:
            continue
        stream, identity = is_stream(path), _identity(path)
        if not (stream or (path.parent.is_dir() and os.access(path.parent, os.W_OK))):
            raise InvalidInputError(f"'{path}' cannot be written: its folder does not exist or is read-only.")
        if identity in taken:
            raise InvalidInputError(f"'{path}' is already an input or another output; choose another name.")
        taken.add(identity)
        if not (stream or overwrite) and path.exists():
            ways = f"{instead}, " if instead else ""
            raise InvalidInputError(f"'{path}' exists already; give {ways}--overwrite to replace it, or another name.")


def _identity(path: str | Path) -> object:
    """The same for two paths of one file, whatever names and links lead to it."""
    try:
        found = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    except ValueError:  # no file can have this name
        return path
    return found.st_dev, found.st_ino


@contextmanager
def sole_writer_of(targets: Sequence[Path | None]) -> Iterator[None]:
    """While this lasts, no other command writes these files; what killed ones left of them is cleared away.

    Raises:
        InvalidInputError: another command is writing one of them, or it cannot be written.
    """
    with ExitStack() as stack:
        for path in targets:
            if path is not None and not is_stream(path):
                stack.enter_context(sole_writer(path))
        yield
