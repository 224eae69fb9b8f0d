"""What `autodual report` does."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from autodual.errors import InvalidInputError
from autodual.files.writing import write_text
from autodual.report import load_document
from autodual.report.document import ROWS_KEY, Row
from autodual.report.page import counterexample_files, render_page, save_counterexamples
from autodual.report.storage import file_sha256
from autodual_cli.output.saved_points import with_saved_points
from autodual_cli.output.targets import Target, check_targets, sole_writer_of


def write_page(
    result: Path, html: Path | None, folder: Path | None, worst: int, points: Path | None, *, overwrite: bool
) -> str:
    """Write the page of the document `result`, and its counterexamples to `folder` if one is given.

    points: where the file of points that `attack` saved is, if not where the document says. Returns what was done, in
    words.

    Raises:
        DataError: the document cannot be read or is none, or a file cannot be written.
        InvalidInputError: the page would replace the document, or a file exists already.
    """
    document = load_document(result)
    target = result.with_suffix(".html") if html is None else html
    if target == result:
        raise InvalidInputError(f"The page of '{result}' needs another name; give it with --html.")
    settings, key = document["settings"], ROWS_KEY[document["schema"]]
    rows, missing = with_saved_points(document[key], settings, points)
    document = {**document, key: rows}
    sources: list[str | Path] = [result, *(str(settings[role]) for role in ("model", "data") if settings.get(role))]
    check_targets([target], sources, overwrite=overwrite)
    with sole_writer_of([target]):
        saved = {} if folder is None else _save(document, folder, sources, overwrite)
        links = {index: _relative(path, target) for index, path in saved.items()}
        page = render_page(document, (str(result), file_sha256(result)), links, worst)
        Target(target, overwrite).write(write_text, page)
    extra = f", and {len(saved)} counterexample(s) to {folder}" if folder is not None else ""
    return f"Wrote {target}{extra}{''.join(f', without {words}' for words in missing)}."


def _save(document: Row, folder: Path, sources: list[str | Path], overwrite: bool) -> dict[int, Path]:
    files = list(counterexample_files(document, folder).values())
    if folder.is_dir():
        check_targets(files, sources, overwrite=overwrite)
    return save_counterexamples(document, folder, overwrite=overwrite)


def _relative(path: Path, page: Path) -> PurePath:
    """The path as a link from the page, so that both can be moved together."""
    return PurePath(os.path.relpath(path.resolve(), page.resolve().parent))
