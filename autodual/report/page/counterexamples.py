"""The counterexamples of a document: saved as .npy files, and shown as pictures where they are images."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autodual.errors import DataError
from autodual.files.writing import write_bytes
from autodual.report.document import Row
from autodual.report.page.kinds import rows_of

if TYPE_CHECKING:
    import numpy

_LARGEST_PICTURE = 512


def counterexamples(document: Row) -> dict[int, Any]:
    """The counterexamples in the document by the row's index: nested lists, or whatever the schema holds."""
    rows = rows_of(document)
    return {row["index"]: row["counterexample"] for row in rows if row.get("counterexample") is not None}


def save_counterexamples(document: Row, folder: str | PathLike[str]) -> dict[int, Path]:
    """Write each counterexample that is an array to `folder`/counterexample_INDEX.npy (float64), and say where.

    The folder is made where it does not exist. Every float32 is a float64, so nothing is rounded.

    Raises:
        DataError: a file cannot be written, or a counterexample holds anything but finite numbers.
    """
    import io

    import numpy

    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"The folder '{folder}' cannot be made: {error.strerror}.") from None
    saved = {}
    for index, value in counterexamples(document).items():
        array = as_array(value)
        if array is None:
            raise DataError(f"The counterexample of row {index} is no array of finite numbers, so it cannot be saved.")
        buffer = io.BytesIO()
        numpy.save(buffer, array, allow_pickle=False)
        saved[index] = place / f"counterexample_{index}.npy"
        write_bytes(saved[index], buffer.getvalue())
    return saved


def as_array(value: Any) -> numpy.ndarray | None:
    """Nested lists of finite numbers as float64; None for anything else."""
    import numpy

    try:
        array = numpy.array(value, dtype=numpy.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    return array if isinstance(value, list) and numpy.isfinite(array).all() else None


def pictures(found: Mapping[int, Any]) -> dict[int, str]:
    """Those that are images in [0, 1] (`[H, W]`, `[1, H, W]` or `[3, H, W]`, small) as PNG data addresses."""
    drawn = {}
    for index, value in found.items():
        pixels = _pixels(value)
        if pixels is not None:
            drawn[index] = "data:image/png;base64," + base64.b64encode(_png(pixels)).decode("ascii")
    return drawn


def _pixels(value: Any) -> numpy.ndarray | None:
    """Bytes `[H, W, 1 or 3]`; what lies outside [0, 1], as points of unclipped sets do, is shown at the nearer end."""
    array = as_array(value)
    if array is None:
        return None
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.shape[0] not in (1, 3) or not 4 <= min(array.shape[1:]) <= _LARGEST_PICTURE:
        return None
    if max(array.shape[1:]) > _LARGEST_PICTURE:
        return None
    return (array.clip(0.0, 1.0) * 255).round().astype("uint8").transpose(1, 2, 0)


def _png(pixels: numpy.ndarray) -> bytes:
    height, width, channels = pixels.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
