"""NumPy's `.npz` files: an array of inputs, and optionally one of labels."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy

from autodual.errors import DataError
from autodual.limits import MEMORY
from autodual.limits.array_headers import parse_array

_INPUTS = ("x", "images")
_LABELS = ("y", "labels")
_DAMAGED = (ValueError, OSError, EOFError, LookupError, RuntimeError, zipfile.BadZipFile, zlib.error)


def parse_npz(name: str, content: bytes) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """The inputs (`x` or `images`) and the labels (`y` or `labels`, or None) in a file; `name` is for messages.

    Raises:
        DataError: the file is not `.npz`, is damaged, holds pickled objects, or not exactly these arrays.
        BudgetError: its arrays would take more memory than a file may.
    """
    arrays, held = named_arrays(name, content, (*_INPUTS, *_LABELS))
    inputs, labels = ([key for key in keys if key in arrays] for keys in (_INPUTS, _LABELS))
    if len(inputs) != 1 or len(labels) > 1:
        found = [key[:20] for key in held[:8]]
        raise DataError(f"'{name}' holds the arrays {found}; expected one of 'x', 'images' and one of 'y', 'labels'.")
    return arrays[inputs[0]], arrays[labels[0]] if labels else None


def named_arrays(name: str, content: bytes, names: Sequence[str]) -> tuple[dict[str, numpy.ndarray], list[str]]:
    """Those of the arrays in a file that have one of the `names`, and the names of all; `name` is for messages.

    Raises:
        DataError, BudgetError: as `parse_npz`, whatever the names.
    """
    try:
        # Arrays of Python objects are not read, so a data file cannot execute code.
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = {PurePosixPath(entry.filename).stem: entry for entry in archive.infolist()}
            wanted = [key for key in names if key in entries]
            MEMORY.require(name, "its arrays", sum(entries[key].file_size for key in wanted))
            return {key: _array(name, archive, entries[key]) for key in wanted}, list(entries)
    except _DAMAGED:
        raise DataError(f"'{name}' is damaged, holds pickled objects or is no .npz file.") from None


def _array(name: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> numpy.ndarray:
    with archive.open(entry) as file:
        array = parse_array(name, file, entry.file_size)
        if file.read(1):  # zipfile verifies the checksum when it reaches the end
            raise ValueError("there is more behind the array")
        return array
