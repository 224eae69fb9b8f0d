"""One line per sample for spreadsheets; lists and tensors stay in the JSON document."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from os import PathLike

from autodual.files.writing import write_text
from autodual.report.document import Row

_NOT_SCALAR = (list, dict)


def write_csv(path: str | PathLike[str], rows: Sequence[Row], *, overwrite: bool = False) -> None:
    """Write the scalar columns of `rows`, sorted by index, atomically; null becomes an empty field.

    Args:
        path: the file.
        rows: as a document has them.
        overwrite: whether a file that exists is replaced.

    Raises:
        DataError: the file cannot be written, or exists and is not to be overwritten.

    Example:
        >>> from pathlib import Path
        >>> from autodual.report import radius_row, write_csv
        >>> write_csv("radii.csv", [radius_row(0, None, 0.25)])
        >>> Path("radii.csv").read_text().splitlines()
        ['index,label,radius', '0,,0.25']
    """
    write_text(path, csv_text(rows), overwrite=overwrite)


def csv_text(rows: Sequence[Row]) -> str:
    """What `write_csv` writes."""
    columns = [key for key, value in rows[0].items() if not isinstance(value, _NOT_SCALAR)] if rows else ["index"]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["index"]))
    return buffer.getvalue()
