"""One line per sample for spreadsheets; lists and tensors stay in the JSON document."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from os import PathLike

from autodual.files.writing import write_text
from autodual.report.document import Row

_NOT_SCALAR = (list, dict)


def write_csv(path: str | PathLike[str], rows: Sequence[Row]) -> None:
    """Write the scalar columns of `rows`, sorted by index, atomically; null becomes an empty field.

    Raises:
        DataError: the file cannot be written.
    """
    columns = [key for key, value in rows[0].items() if not isinstance(value, _NOT_SCALAR)] if rows else ["index"]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["index"]))
    write_text(path, buffer.getvalue())
