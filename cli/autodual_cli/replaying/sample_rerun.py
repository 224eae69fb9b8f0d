"""What `autodual replay` does: the recorded settings run again on the recorded files, and the rows compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy
import torch

from autodual.errors import DataError, InvalidInputError
from autodual.report.comparison import SAME_RUN, Comparison, Difference, compare
from autodual.report.document import ROWS_KEY
from autodual.report.point_file import without_points
from autodual_cli.jobs.estimate_wording import projection_entries
from autodual_cli.jobs.sample_loop import Job, Row
from autodual_cli.output.summary_lines import show
from autodual_cli.process.progress_bar import progress
from autodual_cli.replaying.document_agreement import changes, compare_document
from autodual_cli.replaying.recorded_jobs import JOBS
from autodual_cli.replaying.recorded_settings import Recorded, Replacements
from autodual_cli.replaying.verdict_rerun import replay_verification
from autodual_cli.subject.model_and_data import prepare

_SHOWN = 40
_CASCADE = "autodual.cascade/1"
_ATTACK = "autodual.attack/1"
# What a row says of its worst point.
_OF_POINT = ("attack", "member", "margin", "reached", "distance_linf", "distance_l2", "distance_l1")


def replay(
    document: Row, replacements: Replacements, *, limit: int | None, tolerance: float | None
) -> tuple[Comparison, dict[str, Any]]:
    """Run the first `limit` rows of a document again and compare; also the settings of the new run.

    Raises:
        InvalidInputError: a file is another one than recorded, or the document's schema cannot be replayed.
        DataError: the document's settings are not usable.
    """
    schema, settings = document["schema"], document["settings"]
    if schema == "autodual.verify/1" and len(document[ROWS_KEY[schema]]) == 1:
        return replay_verification(document, Recorded(settings, replacements))
    if schema not in JOBS:
        raise InvalidInputError(f"Documents of {schema} cannot be replayed; those of {', '.join(JOBS)} can.")
    rows = document[ROWS_KEY[schema]][:limit]
    if not rows:
        raise InvalidInputError("The document holds no row, so there is nothing to compare.")
    recorded = Recorded(settings, replacements)
    model = recorded.model()
    if schema == _ATTACK:
        model = replace(model, dtype=None)  # it was run in its own arithmetic
    subject = prepare(model, recorded.data(limit), recorded.projections(), cascade=schema == _CASCADE)
    for role in ("model", "weight_file", "data", *(["extension"] if "extension_sha256" in settings else [])):
        recorded.require(role, subject.settings[f"{role}_sha256"])
    indices = [row["index"] for row in rows]
    if min(indices) < 0 or max(indices) >= len(subject.dataset):
        raise DataError("The document has rows of samples that its data do not hold.")
    job = JOBS[schema](subject, recorded)
    for role in ("box", "specification"):
        recorded.require(role, job.settings.get(f"{role}_sha256"))
    now = _again(job, list(_batches(indices, recorded, len(subject.dataset), together=schema == _ATTACK)))
    older = settings.get("version") != job.settings["version"]
    told, missing = recorded.with_points(rows)
    found = [_described(job, *pair) for pair in zip(told, now, strict=True)] if schema == _ATTACK else now
    timed = [place for place, pair in enumerate(zip(rows, found, strict=True)) if _timed(*pair)]
    same = [place for place in range(len(rows)) if place not in timed]
    kept, fresh = ([each[place] for place in same] for each in (rows, found))
    outcome = compare(schema, job.settings, kept, fresh, tolerance=tolerance, other_version=older)
    outcome.skipped += [
        f"sample {rows[place]['index']}: {rows[place]['status']} then, {found[place]['status']} now, and time decided "
        "one of them"
        for place in timed
    ]
    outcome.skipped += missing
    _check_counterexamples(outcome, job, told, now)
    compare_document(outcome, document, job.settings, job.summarise)
    left = len(document[ROWS_KEY[schema]]) - len(rows)
    if left:
        outcome.skipped.append(f"the other {left} rows, which --limit leaves out")
    return outcome, job.settings


def _batches(
    indices: Sequence[int], recorded: Recorded, samples: int, *, together: bool
) -> Iterator[tuple[list[int], list[int]]]:
    """The samples to work on at a time, and those whose rows are wanted.

    together: what is found for a sample depends on those of its batch, so each batch is made again as it was.
    """
    size = recorded.data(None).batch_size
    if not together:
        parts = [list(indices[start : start + size]) for start in range(0, len(indices), size)]
        yield from zip(parts, parts, strict=True)
        return
    skip, limit = recorded.value("skip", int), recorded.value("limit", int, optional=True)
    stop = samples if limit is None else min(samples, skip + limit)
    for first in dict.fromkeys(skip + (index - skip) // size * size for index in indices):
        wanted = [index for index in indices if first <= index < first + size]
        batch = range(max(first, 0), max(min(first + size, stop), max(wanted) + 1))
        yield list(batch), wanted


def _again(job: Job, batches: Sequence[tuple[list[int], list[int]]]) -> list[Row]:
    rows: list[Row] = []
    with progress(sum(len(wanted) for _, wanted in batches), 0, enabled=True) as advance:
        if job.attend is not None:
            job.attend(advance.note)
        for batch, wanted in batches:
            new = {row["index"]: row for row in job.rows(torch.tensor(batch))}
            rows += [new[index] for index in wanted]
            advance(len(wanted), job.headline(job.summarise(rows, 0.0)))
    return rows


def _described(job: Job, row: Row, found: Row) -> Row:
    """The new row; where running the network confirms what the old one says of its own point, with that."""
    confirmed = "counterexample" in row and job.refutes is not None and job.refutes(row["index"], row)
    kept = {key: row.get(key) for key in _OF_POINT} if confirmed and found["status"] == row["status"] else {}
    return without_points({**found, **kept})


def _timed(row: Row, found: Row) -> bool:
    """Whether the time of a search decided one of two rows, and the recorded one claims nothing but a counterexample,
    which is run by itself.
    """
    searched = row.get("parts") is not None or found.get("parts") is not None
    claims = row["status"] not in ("unknown", "falsified") if searched else True
    return not claims and "unknown" in (row["status"], found["status"])


def _check_counterexamples(outcome: Comparison, job: Job, rows: Sequence[Row], now: Sequence[Row]) -> None:
    """Run the network on the recorded counterexamples, whatever the new attack found."""
    for row, found in zip(rows, now, strict=True):
        point, again = row.get("counterexample"), found.get("counterexample")
        if point is None or job.refutes is None:
            continue
        if not job.refutes(row["index"], row):
            outcome.add(row["index"], "counterexample", "refutes the property", "does not")
        elif again is None or not numpy.array_equal(point, again):
            words = "the recorded counterexample is one, but not the one found now"
            outcome.skipped.append(f"the points of sample {row['index']}: {words}")


def show_replay(document: Row, outcome: Comparison, now: dict[str, Any], tolerance: float | None) -> None:
    """Print what was compared, what differs and what could not be compared."""
    own = {"autodual.radius/1": "twice the resolution of the search", _ATTACK: f"{SAME_RUN:g} of 1 + the number"}
    counted = own.get(document["schema"], "twice the rounding error counted now")
    allowed = counted if tolerance is None else f"{tolerance:g}"
    rows = {difference.index for difference in outcome.differences if isinstance(difference.index, int)}
    others = len({(item.index, item.key) for item in outcome.differences if not isinstance(item.index, int)})
    entries = [
        ("network", f"{now['model']} (sha256 as recorded)"),
        *((key, f"{now[key]} (sha256 as recorded)") for key in ("data", "property") if key in now),
        *(("perturbation set", str(now[key])) for key in ("set",) if key in now),
        *projection_entries(now),
        ("rows compared", str(outcome.compared)),
        ("rows that agree", str(outcome.compared - len(rows))),
        ("rows that differ", str(len(rows))),
        ("summary, settings", f"{others} value(s) differ" if others else "as recorded"),
        ("numbers may be apart", allowed),
        ("largest gap seen", f"{outcome.largest:.3g}"),
        *(("changed since", line) for line in changes(document["settings"], now)),
        *(("not compared", line) for line in outcome.skipped),
        *(("not compared", f"{key}: the version of then did not say it") for key in sorted(outcome.unsaid)),
        ("not compared", "seconds, the time and the folder of the run, and how the work was arranged"),
    ]
    show("Replay", entries)
    if outcome.differences:
        shown = [(f"{item.index} {item.key}", _words(item)) for item in outcome.differences[:_SHOWN]]
        if len(outcome.differences) > _SHOWN:
            shown.append(("…", f"and {len(outcome.differences) - _SHOWN} more"))
        show("Differences", shown)


def _words(item: Difference) -> str:
    allowed = "" if item.allowed is None else f" (may be {item.allowed:.3g} apart)"
    return f"recorded {item.recorded}, now {item.now}{allowed}"
