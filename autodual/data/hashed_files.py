"""Finding and reading the files of a data set, and keeping digests of what was read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autodual.errors import DataError
from autodual.foreign import foreign_file, foreign_gzip
from autodual.limits import FILE, read_file

_GZIP = b"\x1f\x8b"


def read_bytes(path: Path, *, kept: int = 1) -> bytes:
    """The content of a file; `kept` is the bytes of memory that the caller will use for each byte of it.

    Raises:
        DataError: the file does not exist, cannot be read, or is of another kind.
        BudgetError: the file is too large.
    """
    try:
        content = read_file(path, kept=kept)
    except FileNotFoundError:
        raise DataError(f"There is no data file '{path}'.") from None
    except OSError as error:
        raise DataError(f"The data file '{path}' cannot be read: {error.strerror}.") from None
    refuse_foreign(str(path), content)
    return content


def refuse_foreign(name: str, content: bytes) -> None:
    """Raise DataError if a file is recognised as something other than data, such as a web page."""
    found = foreign_gzip(content) if content.startswith(_GZIP) else foreign_file(content)
    if found is not None and found.kind not in ("a text file", "a text file, compressed with gzip"):
        raise DataError(found.sentence(name, "give the file of data itself"))


@dataclass(frozen=True)
class DataFile:
    """A file that was read, and the SHA-256 of its bytes."""

    path: Path
    sha256: str


class ReadFiles:
    """Reads files and hashes the bytes that were read, so that the digest is right even if a file changes later."""

    def __init__(self) -> None:
        self._files: list[DataFile] = []
        self._all = hashlib.sha256()
        self._size = 0

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The files so far, in the order in which they were read."""
        return tuple(self._files)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes of all files, one after the other."""
        return self._all.hexdigest()

    def read(self, path: Path, *, kept: int = 1) -> bytes:
        """The content of a file; `kept` as in `read_bytes`.

        Raises:
            DataError: the file does not exist, or cannot be read.
        """
        content = read_bytes(path, kept=kept)
        self._size += len(content)
        FILE.require(str(path), "it, and the files before it,", self._size)
        self._files.append(DataFile(path, hashlib.sha256(content).hexdigest()))
        self._all.update(content)
        return content


def holds(folder: Path, *files: str) -> bool:
    """Whether `folder` holds at least one of `files`."""
    # Unlike Path.is_file, this does not raise without permission.
    return any(os.path.isfile(folder / file) for file in files)


def find_files(directory: Path, files: Sequence[str], *, subfolder: str, advice: str) -> list[Path]:
    """The paths of `files`, all in `directory` or all in its `subfolder`: two copies are never mixed.

    Args:
        directory: where to look first.
        files: relative paths.
        subfolder: the folder into which the published archive unpacks.
        advice: what to do if a file is missing, for the end of a sentence.

    Raises:
        DataError: a file is missing; the message names the first.
    """
    folder = next((place for place in (directory, directory / subfolder) if holds(place, *files)), directory)
    for file in files:
        if not holds(folder, file):
            where = f"'{folder}'" if holds(folder, *files) else f"'{directory}' or its folder '{subfolder}'"
            raise DataError(f"There is no '{file}' in {where}; {advice}.")
    return [folder / file for file in files]
