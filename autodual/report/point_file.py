"""The points that attacks found, in an `.npz` file beside the document: too many numbers for JSON."""

from __future__ import annotations

import io
from collections.abc import Sequence
from os import PathLike
from typing import Any

from autodual.errors import DataError
from autodual.report.document import Row

# The keys of rows that hold arrays, and the arrays of the file.
_ARRAYS = {"counterexample": "point", "original": "original"}


def without_points(row: Row) -> Row:
    """A row as documents have it, without the arrays of the file of points."""
    return {key: value for key, value in row.items() if key not in _ARRAYS}


def write_points(path: str | PathLike[str], rows: Sequence[Row], *, overwrite: bool = False) -> None:
    """Write the points of those `rows` that have one, by index, atomically.

    The file's arrays are `index` `[M]`, `point` and `original` `[M, *shape]`, and `label`, `predicted` and `reached`
    `[M]`, −1 where none is known.

    Raises:
        DataError: the file cannot be written, or exists and is not to be overwritten.
    """
    import numpy

    from autodual.files.writing import write_bytes

    held = sorted((row for row in rows if "counterexample" in row), key=lambda row: row["index"])
    arrays: dict[str, Any] = {
        name: numpy.stack([row[key] for row in held]) if held else numpy.zeros((0,)) for key, name in _ARRAYS.items()
    }
    for name in ("index", "label", "predicted", "reached"):
        known = [-1 if row[name] is None else row[name] for row in held]
        arrays[name] = numpy.array(known, dtype=numpy.int64)
    buffer = io.BytesIO()
    numpy.savez(buffer, **arrays)
    write_bytes(path, buffer.getvalue(), overwrite=overwrite)


def with_points(rows: Sequence[Row], path: str | PathLike[str]) -> list[Row]:
    """The rows, with the points that a file holds of them as arrays: `counterexample` and `original`.

    Raises:
        DataError: the file cannot be read, or is no file of points.
        BudgetError: it would take more memory than a file may.
    """
    from autodual.data.npz import named_arrays
    from autodual.limits import read_file

    try:
        content = read_file(path)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None
    arrays, _ = named_arrays(str(path), content, ("index", *_ARRAYS.values()))
    if not _fit(arrays):
        raise DataError(f"'{path}' is no file of points that `autodual attack --save-points` has written.")
    places = {int(index): place for place, index in enumerate(arrays["index"])}
    return [_with_point(row, arrays, places.get(row["index"])) for row in rows]


def _with_point(row: Row, arrays: dict[str, Any], place: int | None) -> Row:
    if place is None or row.get("status") != "broken":
        return row
    return {**row, **{key: arrays[name][place] for key, name in _ARRAYS.items()}}


def _fit(arrays: dict[str, Any]) -> bool:
    """Whether the arrays are one point, one sample and one index a row, of finite numbers."""
    import numpy

    if set(arrays) != {"index", *_ARRAYS.values()}:
        return False
    index, point, original = arrays["index"], arrays["point"], arrays["original"]
    if index.dtype != numpy.int64 or index.ndim != 1 or point.shape != original.shape:
        return False
    floating = all(one.dtype in (numpy.float32, numpy.float64) for one in (point, original))
    same = point.ndim > 0 and len(point) == len(index)
    return floating and same and all(bool(numpy.isfinite(one).all()) for one in (point, original))
