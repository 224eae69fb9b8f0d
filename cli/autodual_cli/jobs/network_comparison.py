"""What `autodual evaluate` does: certify one network after the other, attack it, and put the figures side by side."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from autodual.errors import DataError, reason_of
from autodual.files.writing import write_text
from autodual.report.network_figures import FIGURES, figure_table, network_figures, spread
from autodual.report.storage import write_document
from autodual_cli.jobs.certification_job import Limits, Means, certification_job
from autodual_cli.jobs.question import Question
from autodual_cli.jobs.sample_loop import finish, run
from autodual_cli.options.option_groups import (
    BallOptions,
    DataOptions,
    ModelOptions,
    OutputOptions,
    SeveralModels,
    refuse_both,
)
from autodual_cli.options.set_size import chosen_size
from autodual_cli.output.summary_lines import percent
from autodual_cli.output.targets import Target, check_targets, sole_writer_of
from autodual_cli.process.interruption import shielded
from autodual_cli.subject.model_and_data import prepare

_HEADS = ("network", "clean", "attacked", "certified: intervals", "bounds", "search")


@dataclass(frozen=True)
class Comparison:
    """The options of the command; `timeout` 0 leaves the search out."""

    models: SeveralModels
    eps: float | None
    ball: BallOptions
    attack: int | str
    timeout: float
    data: DataOptions
    output: Path
    overwrite: bool
    resume: bool
    quiet: bool

    def __post_init__(self) -> None:
        refuse_both(overwrite=self.overwrite, resume=self.resume)

    @property
    def means(self) -> Means:
        """How each network is certified and attacked."""
        limits = Limits("high", self.timeout) if self.timeout else Limits("normal")
        return Means("adaptive", self.attack, bracket=True, limits=limits)

    def document(self, number: int) -> OutputOptions:
        """Where the results of a network go."""
        path = self.output / f"network-{number}.json"
        begun = self.resume and path.exists()
        return OutputOptions(path, None, self.overwrite and not begun, begun, self.quiet)

    @property
    def figures(self) -> list[Target]:
        """The files that put all networks side by side."""
        replace = self.overwrite or self.resume
        return [Target(self.output / f"evaluation.{ending}", replace) for ending in ("json", "csv")]

    @property
    def outdated(self) -> list[Target]:
        """Files that tell of another evaluation once a network is being evaluated."""
        if not self.overwrite:
            return self.figures
        found = sorted(self.output.glob("network-*.json"))
        networks = [path for path in found if path.stem.removeprefix("network-").isdecimal()]
        return [*self.figures, *(Target(path, replace=True) for path in networks)]


def compare(context: click.Context, options: Comparison) -> None:
    """Evaluate all networks and write the comparison.

    Raises:
        AutodualError: a network, the data or the set cannot be used, or files cannot be written.
        ContradictionError: an attack breaks a sample that was certified.
    """
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"The folder '{options.output}' cannot be made: {reason_of(error)}.") from error
    whole, table = options.figures
    targets = [whole.path, table.path]
    check_targets(targets, options.models.paths, overwrite=whole.replace, instead="--resume to go on from it")
    with sole_writer_of(targets):
        found = [_evaluated(context, options, *numbered) for numbered in enumerate(options.models.each(), 1)]
        figures = [network_figures(document["certificates"]) for document in found]
        names = [str(path) for path in options.models.paths]
        rows = figure_table(names, figures)
        document = {
            "schema": "autodual.evaluate/1",
            "networks": [_told(document, one) for document, one in zip(found, figures, strict=True)],
            **spread(figures),
        }
        with shielded():
            whole.write(write_document, document)
            table.write(write_text, _lines(rows))
    if not options.quiet:
        _show(rows)


def _evaluated(context: click.Context, options: Comparison, number: int, model: ModelOptions) -> dict[str, Any]:
    """The document of one network; the command ends where its run was interrupted."""
    subject = prepare(model, options.data)
    eps, ball = chosen_size(context, subject.trained, options.eps, options.ball)
    job = certification_job(Question.of(subject, ball, eps=eps, spec=None), options.means)
    outdated = options.outdated if number == 1 else []
    outcome = run(job, len(subject.dataset), options.data, options.document(number), lambda _document: None, outdated)
    finish(context, outcome)
    return outcome.document


def _told(document: Mapping[str, Any], figures: Mapping[str, float]) -> dict[str, Any]:
    """What the comparison says of one network: what was asked of it, and what came out."""
    return {"settings": document["settings"], "summary": document["summary"], "figures": dict(figures)}


def _lines(table: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["network", *FIGURES], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def _show(table: Sequence[Mapping[str, Any]]) -> None:
    """Print the table of errors."""
    lines = [_HEADS, *((line["network"], *(percent(line[name]) for name in FIGURES)) for line in table)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for name, *numbers in lines:
        cells = [name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(numbers, widths[1:]))]
        click.echo("  ".join(cells))
