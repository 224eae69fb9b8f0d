"""Where a result comes from: files with their SHA-256, versions, machine, command and settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autodual.report.document import Row
from autodual.report.numbers import NONE, number
from autodual.report.page.kinds import settings_of

# Settings that the page shows elsewhere, or as part of the provenance.
_ELSEWHERE = frozenset({"provenance", "model_sha256", "weight_file_sha256", "data_sha256"})
_UNKNOWN = "not recorded"


@dataclass(frozen=True)
class NamedFile:
    """A file, what it was to the run, and the SHA-256 of its bytes."""

    role: str
    name: str
    sha256: str


@dataclass(frozen=True)
class Origin:
    """The provenance of a document.

    circumstances: names and words, such as the device. earlier: the runs that this one resumed, one line each.
    again: the command that computes the document again, or None. settings: names and values, as in the document.
    """

    files: Sequence[NamedFile]
    command: str
    folder: str
    circumstances: Sequence[tuple[str, str]]
    source_sha256: str
    earlier: Sequence[str]
    again: str | None
    settings: Sequence[tuple[str, str]]


def origin_of(document: Row, source: tuple[str, str], *, again: str | None = None) -> Origin:
    """The provenance that a document records.

    Args:
        document: as `load_document` returns it.
        source: the document's own file name and the SHA-256 of its bytes.
        again: the command that computes the document again.
    """
    settings = settings_of(document)
    record = settings.get("provenance")
    record = record if isinstance(record, dict) else {}
    earlier = record.get("earlier")
    return Origin(
        files=[*_files(record, settings), NamedFile("this run's document", *source)],
        command=_recorded(record, "command"),
        folder=_recorded(record, "directory"),
        circumstances=[
            ("started (UTC)", _recorded(record, "started")),
            ("seconds of work", number(document["summary"].get("seconds"))),
            ("device", str(record.get("device") or settings.get("device") or _UNKNOWN)),
            ("platform", _recorded(record, "platform")),
            ("versions", _versions(record, settings)),
        ],
        source_sha256=_recorded(record, "source_sha256"),
        earlier=[_earlier(run) for run in earlier] if isinstance(earlier, list) else [],
        again=again,
        settings=[
            (str(key), NONE if value is None else str(value))
            for key, value in settings.items()
            if key not in _ELSEWHERE
        ],
    )


def _recorded(record: Row, key: str) -> str:
    return str(record.get(key) or _UNKNOWN)


def _files(record: Row, settings: Row) -> list[NamedFile]:
    """The files that the provenance names; for documents without one, those whose digests are among the settings."""
    files = record.get("files")
    known = [file for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    if known:
        return [NamedFile(*(str(file.get(key)) for key in ("role", "path", "sha256"))) for file in known]
    roles = [key.removesuffix("_sha256") for key in settings if key.endswith("_sha256") and settings[key] is not None]
    return [NamedFile(role, str(settings.get(role)), str(settings[f"{role}_sha256"])) for role in roles]


def _versions(record: Row, settings: Row) -> str:
    versions = record.get("versions")
    if not isinstance(versions, dict):
        return f"autodual {settings.get('version', _UNKNOWN)}"
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _earlier(run: object) -> str:
    if not isinstance(run, dict):
        return _UNKNOWN
    return f"started {run.get('started')} on {run.get('device')}, {_versions(run, {})}"
