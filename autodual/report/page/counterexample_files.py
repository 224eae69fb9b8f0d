"""Saving the counterexamples of a document as .npy files."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from autodual.errors import DataError
from autodual.files.writing import write_bytes
from autodual.report.document import Row
from autodual.report.page.kinds import rows_of
from autodual.report.page.pictures import as_array


def counterexamples(document: Row) -> dict[int, Any]:
    """The counterexamples in the document by the row's index: nested lists, or whatever the schema holds."""
    rows = rows_of(document)
    return {row["index"]: row["counterexample"] for row in rows if row.get("counterexample") is not None}


def counterexample_files(document: Row, folder: str | PathLike[str]) -> dict[int, Path]:
    """Where `save_counterexamples` writes each counterexample of the document."""
    return {index: Path(folder) / f"counterexample_{index}.npy" for index in counterexamples(document)}


def save_counterexamples(document: Row, folder: str | PathLike[str], *, overwrite: bool = False) -> dict[int, Path]:
    """Write each counterexample that is an array to `folder`/counterexample_INDEX.npy (float64), and say where.

    The folder is made where it does not exist. Every float32 is a float64, so nothing is rounded.

    Args:
        overwrite: whether files that exist are replaced.

    Raises:
        DataError: a file cannot be written, or exists and is not to be overwritten, or a counterexample holds anything
            but finite numbers.
    """
    import io

    import numpy

    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"The folder '{folder}' cannot be made: {error.strerror}.") from None
    saved = counterexample_files(document, folder)
    for index, value in counterexamples(document).items():
        array = as_array(value)
        if array is None:
            raise DataError(f"The counterexample of row {index} is no array of finite numbers, so it cannot be saved.")
        buffer = io.BytesIO()
        numpy.save(buffer, array, allow_pickle=False)
        write_bytes(saved[index], buffer.getvalue(), overwrite=overwrite)
    return saved
