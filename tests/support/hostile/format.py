"""A file format for the hostile tests: its hostile files, valid files to mutate, and the commands that read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Writer = Callable[[Path], object]
"""Writes a file to the path that it is given."""

Named = Iterator[tuple[str, Writer]]


@dataclass(frozen=True)
class Surroundings:
    """Honest files that the commands need besides the hostile one."""

    model: Path
    data: Path
    folder: Path


@dataclass(frozen=True)
class Format:
    """A file format.

    file: the name that commands expect, possibly with folders before it. hostile: names and writers of hand-made files.
    valid: contents of honest files. commands: the arguments of each command that reads the file at a path. companions:
    honest files that must lie in the same folder, by name.
    """

    name: str
    file: str
    hostile: Callable[[], Named]
    valid: Callable[[], Iterator[bytes]]
    commands: Callable[[Path, Surroundings], list[list[str]]]
    companions: Callable[[], dict[str, bytes]] = dict


def content(data: bytes) -> Writer:
    """A writer of these bytes."""
    return lambda path: path.write_bytes(data)
