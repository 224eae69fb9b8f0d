"""The kind of a model file, and the check of its zip container."""

from __future__ import annotations

import io
import os
import zipfile
from enum import Enum
from pathlib import Path, PurePosixPath

from autodual.errors import ModelFileError
from autodual.foreign import Foreign, foreign_archive, foreign_file, foreign_gzip
from autodual.limits import read_file

_ONNX_START = 0x08
"""The first byte of nearly all ONNX files: the tag of their first field, the IR version."""

_GZIP = b"\x1f\x8b"
_WANTED = "give an ONNX file, or one written by torch.save or torch.export.save"


class Kind(Enum):
    """The kinds of model file that autodual reads."""

    EXPORTED = "torch.export archive"
    PICKLE = "torch.save file"
    ONNX = "ONNX file"


def read_model_bytes(path: Path) -> bytes:
    """The whole file, read once, so that the bytes that are loaded are those that were checked.

    Raises:
        ModelFileError: the file does not exist, cannot be read, or is empty.
        BudgetError: the file is too large.
    """
    if os.path.isdir(path):  # unlike Path.is_dir, it does not raise without permission
        inside = [entry.name for entry in path.glob("saved_model.pb")]
        found = foreign_archive(inside) or Foreign("a folder, not a model file")
        raise ModelFileError(found.sentence(str(path), _WANTED))
    try:
        data = read_file(path)
    except FileNotFoundError:
        raise ModelFileError(f"There is no model file '{path}'.") from None
    except OSError as error:
        raise ModelFileError(f"The model file '{path}' cannot be read: {error.strerror}.") from None
    if not data:
        raise ModelFileError(f"The model file '{path}' is empty.")
    return data


def identify(path: Path, data: bytes) -> Kind:
    """The kind of a model file, from its content; its name only helps messages about unknown files.

    Raises:
        ModelFileError: the kind is unknown or not supported, or the zip container fails its checks.
    """
    foreign = _foreign(path, data)
    if foreign is not None:
        raise ModelFileError(foreign.sentence(str(path), _WANTED))
    if data.startswith(b"PK"):
        return _identify_zip(path, check_zip(str(path), data))
    if path.name.lower().endswith((".onnx", ".onnx.gz")) or data[0] == _ONNX_START:
        return Kind.ONNX
    if data[0] == 0x80:
        return Kind.PICKLE
    if data.startswith(_GZIP):
        raise ModelFileError(f"'{path}' is compressed with gzip; unpack it first: gunzip.")
    raise ModelFileError(f"'{path}' is no model file that is known; {_WANTED}.")


def _foreign(path: Path, data: bytes) -> Foreign | None:
    """The kind of a file of another program, if it is recognised."""
    if path.suffix == ".pb":  # begins like an ONNX file
        return foreign_archive([path.name, "saved_model.pb"])
    if data.startswith(_GZIP):
        return foreign_gzip(data)
    if not data.startswith(b"PK"):
        return foreign_file(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return foreign_archive(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError):
        return None


def _identify_zip(path: Path, names: list[str]) -> Kind:
    inner = {name.partition("/")[2] for name in names}
    if "archive_format" in inner:
        return Kind.EXPORTED
    if "data.pkl" in inner:
        return Kind.PICKLE
    if "serialized_exported_program.json" in names:
        raise ModelFileError(
            f"'{path}' was exported by an old version of PyTorch; export the model again with torch.export.save."
        )
    raise ModelFileError(
        f"'{path}' is a zip file but not a model: expected a file written by torch.save or torch.export.save."
    )


def check_zip(name: str, data: bytes) -> list[str]:
    """The entry names of a zip archive, which must not unpack to more bytes than it has, or outside its folder.

    PyTorch stores entries uncompressed, so a compressed entry is foreign or a zip bomb, and entries whose sizes add up
    to more than the file overlap.

    Raises:
        ModelFileError: the archive is damaged, or breaks one of these rules.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError):
        raise ModelFileError(f"'{name}' is truncated or damaged: its zip directory cannot be read.") from None
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise ModelFileError(f"'{name}' is refused: its zip archive holds two entries of the same name.")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise ModelFileError(
                f"'{name}' is refused: its entry '{entry.filename}' is compressed, PyTorch's never are."
            )
        if _escapes(entry.filename):
            raise ModelFileError(f"'{name}' is refused: its entry '{entry.filename}' points outside the archive.")
    if sum(entry.file_size for entry in entries) > len(data):
        raise ModelFileError(f"'{name}' is refused: its zip entries overlap.")
    return names


def _escapes(entry: str) -> bool:
    return entry.startswith("/") or "\\" in entry or ".." in PurePosixPath(entry).parts or ":" in entry
