"""The loop that all commands over samples share: batches, progress, saving, resuming and stopping cleanly."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click
import torch
from click.core import ParameterSource

from autodual.certification.contradiction import contradiction_words
from autodual.certification.growing_batches import growing_batches
from autodual.errors import ContradictionError, DataError, InvalidInputError
from autodual.report import build_document
from autodual.report.point_file import without_points
from autodual.world import World, world_of_environment
from autodual_cli.jobs.result_files import Results, Row
from autodual_cli.options.option_groups import DataOptions, OutputOptions
from autodual_cli.output.contradiction_file import kept
from autodual_cli.output.provenance import with_earlier
from autodual_cli.output.targets import Target
from autodual_cli.process.interruption import Interrupted, shielded, stop_requested
from autodual_cli.process.progress_bar import progress

Answer = TypeVar("Answer")

_STOPPED = 128 + signal.SIGTERM


@dataclass(frozen=True, eq=False)
class Job:
    """What a command does with its samples: how it makes rows for the samples `indices` `[B]`, and sums up all rows.

    refutes: whether a row's counterexample refutes the property for the sample of that index, and the row describes it
    correctly; None for jobs whose rows have no counterexamples.
    points: a file for the rows' counterexamples, which then are no part of the document; None: they stay in it.
    attend: is given a function that shows words while a batch is worked on; None for jobs that have none to say.
    most: samples at a time, whatever the batch size, for jobs that take long for one and so are saved more often.
    at_once: how many samples like a given one take a few seconds, for jobs whose rows are the same, but for rounding,
    whatever the others of their batch; None where samples share random numbers, or nobody can tell how long they take.
    """

    schema: str
    settings: dict[str, Any]
    rows: Callable[[torch.Tensor], list[Row]]
    summarise: Callable[[Sequence[Row], float], dict[str, Any]]
    headline: Callable[[dict[str, Any]], str]
    refutes: Callable[[int, Row], bool] | None = None
    points: Path | None = None
    attend: Callable[[Callable[[str], None]], None] | None = None
    most: int | None = None
    at_once: Callable[[int], int] | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """The document of all rows so far; `exit_status` is 0, or 128 + the signal that stopped the run early."""

    document: dict[str, Any]
    exit_status: int


def named(indices: torch.Tensor, work: Callable[[], Answer]) -> Answer:
    """The outcome of `work` on the samples `indices` `[B]`, of which a contradiction names one by its index."""
    try:
        return work()
    except ContradictionError as error:
        evidence = error.evidence | {"sample": int(indices[error.evidence["sample"]])}
        raise ContradictionError(contradiction_words(evidence), evidence) from None


def run(
    job: Job,
    samples: int,
    data: DataOptions,
    output: OutputOptions,
    show: Callable[[dict[str, Any]], None],
    outdated: Sequence[Target] = (),
) -> Outcome:
    """Work through samples skip to skip + limit - 1 of a data set of `samples`, write the files and show the outcome.

    outdated: files that follow from the results that this run replaces or goes on with; they are removed as it begins.

    What was computed is always written and shown, even if the work ends early with an error, which is raised
    afterwards. If one file cannot be written, the other still is, and the table is printed even with --quiet.

    Raises:
        InvalidInputError: the range holds no sample, or a file exists already or does not match.
        DataError: a file could not be written.
    """
    indices = _range(samples, data)
    results = Results(output, [file["path"] for file in job.settings["provenance"]["files"]], job.points)
    job, rows, earlier = _resume(job, indices, results, output)
    clock = _Clock(earlier)
    exit_status = 0
    failure: Exception | None = None
    with world_of_environment(torch.device("cpu")) as world, results.held() if world.first else nullcontext():
        if world.first:
            for file in outdated:
                file.clear()
        try:
            _work(job, rows, indices, data.batch_size, clock, world, results, quiet=output.quiet)
        except Interrupted as interruption:
            exit_status = interruption.exit_status
        except ContradictionError as error:
            failure = kept(error, job.settings, output.json or output.csv)
            if not (world.first and rows):
                raise failure from None
        except Exception as error:
            if not (world.first and rows):
                raise
            failure = error
        if exit_status == 0 and len(rows) < len(indices):
            exit_status = _STOPPED  # the signal went to another process
        if not world.first:
            raise click.exceptions.Exit(exit_status)  # only the first process has all rows and prints
        document = _document(job, rows, clock)
        unwritten = results.write(document, rows)
    if unwritten or not output.quiet:
        show(document)
    if failure is not None:
        raise failure
    if unwritten:
        raise DataError(" ".join(unwritten))
    return Outcome(document, exit_status)


def _work(
    job: Job,
    rows: list[Row],
    indices: range,
    batch_size: int,
    clock: _Clock,
    world: World,
    results: Results,
    *,
    quiet: bool,
) -> None:
    """Compute the missing rows and append them, saving now and then."""
    done = {row["index"] for row in rows}
    pending = [index for index in indices if index not in done]
    with progress(len(indices), len(done), enabled=world.first and not quiet) as advance:
        if job.attend is not None:
            job.attend(advance.note)
        for new in _rounds(job, pending, indices, min(batch_size, job.most or batch_size), world):
            with shielded():
                rows.extend(new)
                advance(len(new), job.headline(job.summarise(rows, clock.seconds)))
                if world.first and results.save_is_due():
                    results.save(_document(job, rows, clock), rows)


def _rounds(job: Job, pending: list[int], indices: range, batch_size: int, world: World) -> Iterator[list[Row]]:
    """Rows of all pending samples, a batch of each process at a time.

    Batches follow from the range of samples, so that runs and resumed runs compute the same bits. Processes wait for
    one another after each round, so that a signal to one of them stops all.
    """
    if world.size == 1:
        free = job.at_once if len(indices) > batch_size and _unsaid("batch_size") else None
        left = frozenset(pending)
        for batch in growing_batches(len(indices), batch_size, batch_size if free is None else free(indices[0])):
            some = [index for index in indices[batch.start : batch.stop] if index in left]
            if some:
                yield job.rows(torch.tensor(some))
        return
    with shielded():
        for start in range(0, len(pending), batch_size * world.size):
            mine = pending[start : start + batch_size * world.size][world.rank :: world.size]
            parts = world.gathered((job.rows(torch.tensor(mine)) if mine else [], stop_requested()))
            yield [row for rows, _ in parts for row in rows]
            if any(stopped for _, stopped in parts):
                return


def _unsaid(option: str) -> bool:
    """Whether the command at work has this option and leaves it to its default."""
    context = click.get_current_context(silent=True)
    return context is not None and context.get_parameter_source(option) is ParameterSource.DEFAULT


class _Clock:
    """Seconds of work, those of earlier runs included."""

    def __init__(self, earlier: float) -> None:
        self._start = time.monotonic() - earlier

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start


def _range(samples: int, data: DataOptions) -> range:
    stop = samples if data.limit is None else min(samples, data.skip + data.limit)
    if data.skip >= stop:
        raise InvalidInputError(f"--skip {data.skip} leaves no sample: the data set holds {samples}.")
    return range(data.skip, stop)


def _resume(job: Job, indices: range, results: Results, output: OutputOptions) -> tuple[Job, list[Row], float]:
    """The job (its settings record where earlier rows come from), the earlier rows, and the seconds that they took."""
    rows, seconds, before = results.earlier(job.schema, job.settings)
    outside = [row["index"] for row in rows if row["index"] not in indices]
    if outside:
        raise InvalidInputError(
            f"'{output.json}' holds sample {outside[0]}, which --skip and --limit leave out; use its range or more."
        )
    return replace(job, settings=with_earlier(job.settings, before)), rows, seconds


def _document(job: Job, rows: list[Row], clock: _Clock) -> dict[str, Any]:
    told = rows if job.points is None else [without_points(row) for row in rows]
    return build_document(job.schema, job.settings, job.summarise(rows, clock.seconds), told)


def finish(context: click.Context, outcome: Outcome) -> None:
    """If the run was interrupted, say how to continue and end with its exit status; otherwise do nothing."""
    if outcome.exit_status:
        count = outcome.document["summary"]["count"]
        click.echo(f"Interrupted after {count} sample(s); --resume goes on from what --json has saved.", err=True)
        context.exit(outcome.exit_status)
