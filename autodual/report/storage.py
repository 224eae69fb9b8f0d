"""Writing documents so that no reader ever sees half of one, and reading them back to resume a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from os import PathLike
from typing import Any

from autodual.errors import DataError, InvalidInputError
from autodual.files.writing import write_text
from autodual.limits import open_file, parse_json, read_file
from autodual.report.document import (
    ARRANGEMENT,
    LABEL_MAP_FIELDS,
    ROW_FIELDS,
    ROWS_KEY,
    SETTINGS_FIELDS,
    Row,
)

# Settings that say in words what others say.
_MADE_OF_OTHERS = ("data_description", "set")


class OtherSettings(InvalidInputError):
    """A run cannot go on from a document that was made with other settings.

    key: the first that differs. before: the document's settings.
    """

    def __init__(self, message: str, key: str, before: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.key, self.before = key, before


def write_document(path: str | PathLike[str], document: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Write a document as JSON, atomically.

    Args:
        path: the file.
        document: as `build_document` makes it.
        overwrite: whether a file that exists is replaced.

    Raises:
        DataError: the file cannot be written, or exists and is not to be overwritten.

    Example:
        >>> from autodual.report import build_document, write_document
        >>> write_document("result.json", build_document("autodual.detect/1", {}, {"count": 0, "seconds": 0.0}, []))
    """
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n", overwrite=overwrite)


def file_sha256(path: str | PathLike[str]) -> str:
    """The hexadecimal SHA-256 of the file's bytes.

    Raises:
        DataError: the file cannot be read.
        BudgetError: it is larger than a file may be.
    """
    digest = hashlib.sha256()
    try:
        with open_file(path) as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None
    return digest.hexdigest()


def read_document(path: str | PathLike[str], schema: str, settings: Mapping[str, Any]) -> tuple[list[Row], float]:
    """The rows and the seconds of an earlier run with the same settings; no rows if the file does not exist yet.

    Args:
        path: the JSON file.
        schema: that it must have.
        settings: of the run that goes on; those that only arrange the work (batch size, device, range of samples) may
            differ.

    Raises:
        DataError: the file is not a document of `schema`.
        OtherSettings: it was made with other settings or files; the message names the first that differs.

    Example:
        >>> from autodual.report import read_document
        >>> read_document("new.json", "autodual.detect/1", {})
        ([], 0.0)
    """
    purpose = "so no run can be resumed from it"
    try:
        document = _parse(path, purpose)
    except FileNotFoundError:
        return [], 0.0
    rows = _rows(path, schema, document, purpose)
    before = document["settings"]
    compared = (settings.keys() | before.keys()) - ARRANGEMENT
    # What is made of other settings comes last, so that the message names the cause.
    for key in sorted(compared, key=lambda key: (key in _MADE_OF_OTHERS, key)):
        if before.get(key) != settings.get(key):
            raise OtherSettings(_difference(path, key, before.get(key), settings.get(key)), key, before)
    return rows, float(document["summary"]["seconds"])


def _difference(path: str | PathLike[str], key: str, before: Any, now: Any) -> str:
    if key.endswith("_sha256") and isinstance(before, str) and isinstance(now, str):
        role = key.removesuffix("_sha256").removesuffix("_file")
        return (
            f"The {role} file has changed since '{path}' was made: its SHA-256 was "
            f"{before[:12]}…, it is {now[:12]}… now; use the file of then, or write to another file."
        )
    was, now = ("nothing" if value is None else repr(value) for value in (before, now))
    return f"'{path}' was made with {key} = {was}, and this run has {now}; use the same settings or another file."


def load_document(path: str | PathLike[str]) -> Row:
    """The document in a file, of any schema that autodual writes; its rows have all keys that summaries read.

    Args:
        path: the JSON file.

    Raises:
        DataError: there is no such file, it cannot be read, or it is no such document.

    Example:
        >>> from autodual.report import build_document, load_document, write_document
        >>> write_document("result.json", build_document("autodual.detect/1", {}, {"count": 0, "seconds": 0.0}, []))
        >>> load_document("result.json")["detections"]
        []
    """
    purpose = "so there is no run in it"
    try:
        document = _parse(path, purpose)
    except FileNotFoundError:
        raise DataError(f"There is no file '{path}'.") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or schema not in ROWS_KEY:
        raise DataError(f"'{path}' is not a document of {', '.join(ROWS_KEY)}, {purpose}.")
    _rows(path, schema, document, purpose)
    return document


def _parse(path: str | PathLike[str], purpose: str) -> Any:
    """The JSON in a file; FileNotFoundError is left to the caller."""
    try:
        return parse_json(str(path), read_file(path))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None
    except ValueError:
        raise DataError(f"'{path}' is not a JSON document, {purpose}.") from None


def _rows(path: str | PathLike[str], schema: str, document: Any, purpose: str) -> list[Row]:
    malformed = DataError(f"'{path}' is not a document of the schema {schema}, {purpose}; name another file.")
    if not isinstance(document, dict) or document.get("schema") != schema:
        raise malformed
    rows, summary = document.get(ROWS_KEY[schema]), document.get("summary")
    if not isinstance(rows, list) or not isinstance(summary, dict) or not isinstance(document.get("settings"), dict):
        raise malformed
    if type(summary.get("seconds")) not in (int, float) or not _usable(document["settings"]):
        raise malformed
    indices = [row.get("index") if isinstance(row, dict) else None for row in rows]
    if not all(type(index) is int for index in indices) or len(set(indices)) != len(indices):
        raise malformed
    fields = ROW_FIELDS[schema].items()
    if not all(name in row and _fits(row[name], types) for row in rows for name, types in fields):
        raise malformed
    if not all(_fits_label_map(row) for row in rows):
        raise malformed
    return rows


def _fits_label_map(row: Row) -> bool:
    found = [type(row.get(name)) is kind for name, kind in LABEL_MAP_FIELDS.items() if name in row]
    return not found or (all(found) and len(found) == len(LABEL_MAP_FIELDS))


def _usable(settings: Mapping[str, Any]) -> bool:
    """Whether the settings that are read in any document are of their types, and a domain has two ends."""
    domain = (0.0, 0.0) if settings.get("domain") is None else settings["domain"]
    if not all(type(settings.get(key)) in types for key, types in SETTINGS_FIELDS.items()):
        return False
    return len(domain) == 2 and all(type(end) in (int, float) for end in domain)


def _fits(value: Any, types: tuple[type, ...]) -> bool:
    """Whether a value is of one of the types; lists are of words."""
    return type(value) in types and (not isinstance(value, list) or all(isinstance(word, str) for word in value))
