"""Weights that an ONNX file keeps in other files: read from the model's own folder only, once, and hashed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, BinaryIO

from autodual.errors import ModelFileError
from autodual.frontend.onnx.file_limits import CONSTANT_BYTES, FILE_BYTES, refuse
from autodual.frontend.onnx.stored_tensors import stated_bytes

if TYPE_CHECKING:
    import onnx

_CHUNK = 2**20
_DIGITS = 19


@dataclass(frozen=True)
class ExternalFile:
    """A file that holds weights of a model, and the SHA-256 of the bytes that were read from it."""

    path: Path
    sha256: str


@dataclass(frozen=True, eq=False)
class _Claim:
    """The bytes of a file that are a tensor's entries, and those of them read so far."""

    tensor: onnx.TensorProto
    offset: int
    length: int
    taken: bytearray = field(default_factory=bytearray)

    @property
    def end(self) -> int:
        return self.offset + self.length

    def store(self) -> None:
        """Put the entries into the tensor itself, which no longer refers to a file."""
        self.tensor.raw_data = bytes(self.taken)
        self.tensor.ClearField("external_data")
        self.tensor.ClearField("data_location")


def fill_in(name: str, folder: Path | None, tensors: Sequence[onnx.TensorProto]) -> tuple[ExternalFile, ...]:
    """Read the entries that are kept in other files into the tensors, and return the files that were read.

    Args:
        name: what the model is called in messages.
        folder: the model's own; None if it is not known, which allows no other files.
        tensors: all of the model, wherever they are in it.

    Raises:
        ModelFileError: a tensor names a file outside the folder, one that is not there or no ordinary file, or bytes
            that the file does not have or that are not as many as the tensor's shape and type need.
    """
    claims: dict[str, list[_Claim]] = {}
    for tensor in tensors:
        if tensor.data_location == tensor.EXTERNAL:
            location, claim = _claim(name, tensor)
            claims.setdefault(location, []).append(claim)
    if not claims:
        return ()
    if folder is None:
        raise ModelFileError(f"'{name}' keeps weights in other files; load it by its path, in the folder with these.")
    return tuple(_read(name, folder, location, found) for location, found in claims.items())


def _claim(name: str, tensor: onnx.TensorProto) -> tuple[str, _Claim]:
    """The file that a tensor refers to, and which of its bytes are the tensor's."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if len(entries) != len(tensor.external_data):
        raise ModelFileError(f"'{name}' is damaged: the tensor '{tensor.name}' says twice where its entries are.")
    length = stated_bytes(name, tensor)
    if length is None:
        raise ModelFileError(f"'{name}' keeps the tensor '{tensor.name}', which holds no numbers, in another file.")
    if "length" in entries and _number(name, tensor, entries["length"]) != length:
        raise ModelFileError(
            f"'{name}' is damaged: the tensor '{tensor.name}' of {length} bytes names {entries['length'][:_DIGITS]} "
            "bytes of another file."
        )
    return entries.get("location", ""), _Claim(tensor, _number(name, tensor, entries.get("offset", "0")), length)


def _number(name: str, tensor: onnx.TensorProto, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise ModelFileError(f"'{name}' is damaged: the tensor '{tensor.name}' does not say where its entries are.")
    return int(text)


def _read(name: str, folder: Path, location: str, claims: list[_Claim]) -> ExternalFile:
    """Read one file from beginning to end: hash all of it, and keep the bytes that tensors claim."""
    path = _within(name, folder.resolve(), location)
    with _opened(name, path, location) as file:
        size = os.fstat(file.fileno()).st_size
        needed = max(claim.end for claim in claims)
        if needed > size:
            raise ModelFileError(
                f"'{name}' needs {needed} bytes of '{location}', which has {size}: that file is cut off, or belongs "
                "to another model."
            )
        if size > FILE_BYTES:
            refuse(name, f"'{location}' has more than the 2 GiB that the weights of an ONNX network may have")
        if sum(claim.length for claim in claims) > 2 * size + CONSTANT_BYTES:
            refuse(name, f"its tensors claim the bytes of '{location}' many times over")
        sha256 = _collect(file, size, claims)
    if sha256 is None:
        raise ModelFileError(f"The file '{location}' of '{name}' changed while it was read; load the model again.")
    for claim in claims:
        claim.store()
    return ExternalFile(folder / location, sha256)


def _collect(file: BinaryIO, size: int, claims: Sequence[_Claim]) -> str | None:
    """Take the bytes of all claims in one reading; the SHA-256 of the file, or None if it has become shorter."""
    digest, start = hashlib.sha256(), 0
    waiting = deque(sorted(claims, key=lambda claim: claim.offset))
    current: list[_Claim] = []
    while chunk := file.read(min(_CHUNK, size - start)):
        digest.update(chunk)
        end = start + len(chunk)
        while waiting and waiting[0].offset < end:
            current.append(waiting.popleft())
        for claim in current:
            claim.taken.extend(chunk[max(claim.offset - start, 0) : claim.end - start])
        current = [claim for claim in current if claim.end > end]
        start = end
    return digest.hexdigest() if start == size else None


def _within(name: str, root: Path, location: str) -> Path:
    """Where a file is, which must be inside the model's folder, also after links in its path are followed."""
    parts = (*PurePosixPath(location).parts, *PureWindowsPath(location).parts)
    absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor
    if not location or absolute or ".." in parts or "\0" in location:
        raise ModelFileError(
            f"'{name}' is refused: it keeps weights in {location[:200]!r}, which is not in its own folder; export the "
            "network again, so that it names files beside it."
        )
    try:
        path = (root / location).resolve()
    except (OSError, RuntimeError):  # links that lead in circles
        raise _missing(name, location) from None
    if not path.is_relative_to(root):
        raise ModelFileError(
            f"'{name}' is refused: its weights in '{location}' are a link out of its folder; put the file itself there."
        )
    return path


def _opened(name: str, path: Path, location: str) -> BinaryIO:
    """An ordinary file, opened for reading; its path has no links any more, and none are followed."""
    try:
        # Without O_NONBLOCK, opening a pipe waits for someone who writes to it.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(path, flags), "rb")
    except OSError:
        raise _missing(name, location) from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ModelFileError(f"'{name}' is refused: '{location}', where it keeps weights, is no ordinary file.")
    return file


def _missing(name: str, location: str) -> ModelFileError:
    return ModelFileError(
        f"'{name}' keeps weights in '{location[:200]}', which cannot be read; put that file into the model's folder."
    )
