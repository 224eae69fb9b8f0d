"""The files that a `--spec` names, so that a result can say which ones it was about."""

from __future__ import annotations

from pathlib import Path

from autodual_cli.output.provenance import file_record


def specification_records(specification: str | None) -> list[dict[str, str]]:
    """The files of a specification, hashed; most name none.

    Raises:
        DataError: one of them cannot be read.
    """
    text = (specification or "").strip()
    kind, _, argument = text.partition(":")
    named = [text] if text.endswith(".json") else []
    if kind in ("box", "deviation"):
        named += [end.strip() for end in argument.split(",") if end.strip().endswith(".npy")]
    return [file_record("specification", Path(name)) for name in named]
