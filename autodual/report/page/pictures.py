"""Arrays of pixels as PNG data addresses."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

_LARGEST = 512


def as_array(value: Any) -> numpy.ndarray | None:
    """Nested lists, or an array, of finite numbers as float64; None for anything else."""
    import numpy

    try:
        array = numpy.array(value, dtype=numpy.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    return array if isinstance(value, (list, numpy.ndarray)) and numpy.isfinite(array).all() else None


def picture(value: Any) -> str | None:
    """An image in [0, 1] (`[H, W]`, `[1, H, W]` or `[3, H, W]`, small) as a PNG data address; None for anything else.

    What lies outside [0, 1], as points of unclipped sets do, is shown at the nearer end.
    """
    pixels = _pixels(value)
    return None if pixels is None else "data:image/png;base64," + base64.b64encode(_png(pixels)).decode("ascii")


def difference(original: Any, perturbed: Any) -> tuple[str, float] | None:
    """`perturbed` - `original` as a picture, grey where nothing changed, and how much it is magnified."""
    import numpy

    before, after = as_array(original), as_array(perturbed)
    if before is None or after is None or before.shape != after.shape:
        return None
    change = after - before
    largest = float(numpy.abs(change).max(initial=0.0))
    drawn = picture((0.5 + change / (2 * largest)).tolist()) if largest else None
    return None if drawn is None else (drawn, 0.5 / largest)


def _pixels(value: Any) -> numpy.ndarray | None:
    """Bytes `[H, W, 1 or 3]`."""
    array = as_array(value)
    if array is None:
        return None
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.shape[0] not in (1, 3) or not 4 <= min(array.shape[1:]) <= _LARGEST:
        return None
    if max(array.shape[1:]) > _LARGEST:
        return None
    return (array.clip(0.0, 1.0) * 255).round().astype("uint8").transpose(1, 2, 0)


def _png(pixels: numpy.ndarray) -> bytes:
    height, width, channels = pixels.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
