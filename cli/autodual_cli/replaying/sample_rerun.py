"""What `autodual replay` does: the recorded settings run again on the recorded files, and the rows compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

import torch

from autodual.errors import DataError, InvalidInputError
from autodual.policies import SlopePolicy
from autodual.report.comparison import Comparison, Difference, compare
from autodual.report.document import ROWS_KEY
from autodual_cli.jobs.cascade_job import cascade_job
from autodual_cli.jobs.certification_job import certification_job
from autodual_cli.jobs.detection_job import detection_job
from autodual_cli.jobs.estimate_wording import projection_entries
from autodual_cli.jobs.radius_job import radius_job
from autodual_cli.jobs.sample_loop import Job, Row
from autodual_cli.output.summary_lines import show
from autodual_cli.process.progress_bar import progress
from autodual_cli.replaying.document_agreement import changes, compare_document
from autodual_cli.replaying.recorded_settings import Recorded, Replacements
from autodual_cli.replaying.verdict_rerun import replay_verification
from autodual_cli.subject.model_and_data import Subject, prepare

_SHOWN = 40
_CASCADE = "autodual.cascade/1"


def _certification(subject: Subject, recorded: Recorded) -> Job:
    box = recorded.box()
    return certification_job(
        subject,
        recorded.ball(),
        eps=None if box is not None else recorded.number("eps"),
        box=box,
        spec=recorded.value("specification", str, optional=True),
        slopes=_slopes(recorded),
        attack=recorded.value("attack", str, optional=True) or recorded.value("attack_steps", int, optional=True),
        deployed=recorded.value("deployed", bool, optional=True) is True,
    )


def _cascade(subject: Subject, recorded: Recorded) -> Job:
    return cascade_job(
        subject,
        recorded.ball(),
        eps=recorded.number("eps"),
        slopes=_slopes(recorded),
        deployed=recorded.value("deployed", bool, optional=True) is True,
    )


def _radius(subject: Subject, recorded: Recorded) -> Job:
    return radius_job(subject, recorded.ball(), max_radius=recorded.number("max_radius"), slopes=_slopes(recorded))


def _detection(subject: Subject, recorded: Recorded) -> Job:
    return detection_job(subject, recorded.ball(), eps=recorded.number("eps"), slopes=_slopes(recorded))


_JOBS: dict[str, Callable[[Subject, Recorded], Job]] = {
    "autodual.certify/1": _certification,
    _CASCADE: _cascade,
    "autodual.radius/1": _radius,
    "autodual.detect/1": _detection,
}


def _slopes(recorded: Recorded) -> SlopePolicy:
    slopes = recorded.value("slopes", str)
    if slopes not in get_args(SlopePolicy):
        raise DataError(f"The document's slopes {slopes!r} are none that are known.")
    return slopes


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
    if schema not in _JOBS:
        raise InvalidInputError(f"Documents of {schema} cannot be replayed; those of {', '.join(_JOBS)} can.")
    rows = document[ROWS_KEY[schema]][:limit]
    if not rows:
        raise InvalidInputError("The document holds no row, so there is nothing to compare.")
    recorded = Recorded(settings, replacements)
    subject = prepare(recorded.model(), recorded.data(limit), recorded.projections(), cascade=schema == _CASCADE)
    for role in ("model", "weight_file", "data", *(["extension"] if "extension_sha256" in settings else [])):
        recorded.require(role, subject.settings[f"{role}_sha256"])
    indices = [row["index"] for row in rows]
    if min(indices) < 0 or max(indices) >= len(subject.dataset):
        raise DataError("The document has rows of samples that its data do not hold.")
    job = _JOBS[schema](subject, recorded)
    for role in ("box", "specification"):
        recorded.require(role, job.settings.get(f"{role}_sha256"))
    now = _again(job, indices, recorded.data(limit).batch_size)
    older = settings.get("version") != job.settings["version"]
    outcome = compare(schema, job.settings, rows, now, tolerance=tolerance, other_version=older)
    _check_counterexamples(outcome, job, rows, now)
    compare_document(outcome, document, job.settings, job.summarise)
    left = len(document[ROWS_KEY[schema]]) - len(rows)
    if left:
        outcome.skipped.append(f"the other {left} rows, which --limit leaves out")
    return outcome, job.settings


def _again(job: Job, indices: Sequence[int], batch_size: int) -> list[Row]:
    rows: list[Row] = []
    with progress(len(indices), 0, enabled=True) as advance:
        for start in range(0, len(indices), batch_size):
            new = job.rows(torch.tensor(indices[start : start + batch_size]))
            rows += new
            advance(len(new), job.headline(job.summarise(rows, 0.0)))
    return rows


def _check_counterexamples(outcome: Comparison, job: Job, rows: Sequence[Row], now: Sequence[Row]) -> None:
    """Run the network on the recorded counterexamples, whatever the new attack found."""
    for row, found in zip(rows, now, strict=True):
        point = row.get("counterexample")
        if point is None or job.refutes is None:
            continue
        if not job.refutes(row["index"], row):
            outcome.add(row["index"], "counterexample", "refutes the property", "does not")
        elif point != found.get("counterexample"):
            words = "the recorded counterexample is one, but not the one found now"
            outcome.skipped.append(f"the points of sample {row['index']}: {words}")


def show_replay(document: Row, outcome: Comparison, now: dict[str, Any], tolerance: float | None) -> None:
    """Print what was compared, what differs and what could not be compared."""
    allowed = "twice the rounding error counted now" if tolerance is None else f"{tolerance:g}"
    if document["schema"] == "autodual.radius/1" and tolerance is None:
        allowed = "twice the resolution of the search"
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
