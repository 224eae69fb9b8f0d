"""What `autodual bench` does: all instances of a benchmark, in processes of their own."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import torch

from autodual import __version__
from autodual.errors import ContradictionError, DataError, InvalidInputError
from autodual.properties.instance_list import Instance, load_instances, with_answers
from autodual.report import build_document
from autodual.report.benchmark_score import OUTCOMES, contradicts, points, summarise_instances
from autodual.report.numbers import plural
from autodual_cli.jobs.instance_processes import Answered, Plan, answers
from autodual_cli.jobs.result_files import Results, Row
from autodual_cli.options.option_groups import OutputOptions
from autodual_cli.output.cactus_plot import require_plotting, write_plot
from autodual_cli.output.contradiction_file import kept
from autodual_cli.output.provenance import file_record, provenance, with_earlier
from autodual_cli.output.summary_lines import percent, show
from autodual_cli.output.targets import Target, check_targets
from autodual_cli.process.interruption import Interrupted, shielded
from autodual_cli.process.invocation import recall_extensions
from autodual_cli.process.progress_bar import Display, progress

_SCHEMA = "autodual.bench/1"
_CLAIM = (
    "'{network}' with '{property}' is {status}, but recorded as {expected}; one of the two is wrong, so look into the "
    "evidence"
)


@dataclass(frozen=True)
class BenchOptions:
    """The options of the command; `timeout` is the most for each instance, `verify` are options of `verify`."""

    instances: Path
    answers: Path | None
    timeout: float | None
    jobs: int
    threads: int | None
    plot: Path | None
    verify: tuple[str, ...]


def run_benchmark(options: BenchOptions, output: OutputOptions) -> int:
    """Run the instances, write the files, print a line for each and a table; the exit status.

    Raises:
        AutodualError: the instances cannot be read, or a file cannot be written; ContradictionError, once everything is
            written, where an answer is not the recorded one.
    """
    run = _Run(options, output)
    with run.results.held():
        status = run.work()
        run.finish()
    if status:
        done = plural(len(run.rows), "instance")
        click.echo(f"Interrupted after {done}; --resume goes on from what --json has saved.", err=True)
    return status


class _Run:
    """One run: its rows so far, and its files."""

    def __init__(self, options: BenchOptions, output: OutputOptions) -> None:
        if options.plot is not None:
            require_plotting(options.plot)
        self._options, self._output = options, output
        self._instances = _instances(options)
        sources = [str(path) for path in (options.instances, options.answers) if path is not None]
        self.results = Results(output, sources)
        replaced = output.overwrite or output.resume
        check_targets([options.plot], [*sources, *filter(None, (output.json, output.csv))], overwrite=replaced)
        self._plot = None if options.plot is None else Target(options.plot, replaced)
        settings = _settings(options, sources)
        rows, self._earlier, before = self.results.earlier(_SCHEMA, settings)
        self._settings = with_earlier(settings, before)
        self.rows: list[Row] = [row for row in rows if row["status"] != "error"]  # what went wrong is tried again
        self._start = time.monotonic()

    def work(self) -> int:
        """Run what is missing; the exit status is that of an interruption, or 0."""
        if self._plot is not None:
            self._plot.clear()  # it shows an earlier run
        done = {row["index"] for row in self.rows}
        pending = [(number, one) for number, one in enumerate(self._instances) if number not in done]
        total = len(self._instances)
        try:
            with (
                tempfile.TemporaryDirectory(prefix="autodual-") as folder,
                progress(total, len(done), enabled=not self._output.quiet, unit="instances") as display,
            ):
                for answered in answers(_plan(self._options, Path(folder)), pending):
                    with shielded():
                        self._take(answered, display)
        except Interrupted as interruption:
            return interruption.exit_status
        return 0

    def _take(self, answered: Answered, display: Display) -> None:
        """Add the row of one instance, save now and then, and show it."""
        row = _row(self._instances[answered.number], answered)
        if contradicts(row):
            row["evidence"] = self._kept(row, answered)
        self.rows.append(row)
        summary = summarise_instances(self.rows, self._seconds)
        display(1, f"{summary['sat']} sat, {summary['unsat']} unsat, {summary['wrong']} wrong")
        if not self._output.quiet:
            display.say(_line(row, len(self.rows), len(self._instances)))
        if self.results.save_is_due():
            self.results.save(self._document, self.rows)

    def _kept(self, row: Row, answered: Answered) -> str:
        """Keep the evidence of an answer that is not the recorded one; where it is, in words."""
        error = ContradictionError(_CLAIM.format(**row), {**row, "document": answered.document})
        return str(kept(error, self._settings, self._output.json or self._output.csv))

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._start + self._earlier

    @property
    def _document(self) -> dict[str, Any]:
        return build_document(_SCHEMA, self._settings, summarise_instances(self.rows, self._seconds), self.rows)

    def finish(self) -> None:
        """Write all files and print the table, then raise what went wrong."""
        document = self._document
        unwritten = self.results.write(document, self.rows)
        try:
            if self._plot is not None:
                self._plot.write(write_plot, self.rows)
        except DataError as error:
            unwritten.append(str(error))
        if unwritten or not self._output.quiet:
            show("Benchmark", _entries(document))
        wrong = [row for row in self.rows if contradicts(row)]
        if wrong:
            raise ContradictionError(_accusation(wrong), {"instances": wrong})
        if unwritten:
            raise DataError(" ".join(unwritten))


def _instances(options: BenchOptions) -> list[Instance]:
    found = load_instances(options.instances)
    if options.answers is not None:
        found = with_answers(found, options.answers)
    if options.timeout is None:
        return found
    most = options.timeout
    return [replace(one, timeout=most if one.timeout is None else min(one.timeout, most)) for one in found]


def _plan(options: BenchOptions, folder: Path) -> Plan:
    threads = options.threads or max(1, (os.cpu_count() or 1) // options.jobs)
    return Plan(options.verify, tuple(one.place for one in recall_extensions()), options.jobs, threads, folder)


def _settings(options: BenchOptions, sources: Sequence[str]) -> dict[str, Any]:
    records = [file_record(role, source) for role, source in zip(("instances", "answers"), sources)]
    return {
        "model": "the networks of the instances",
        "data": str(options.instances),
        "data_description": "networks with properties",
        "arithmetic": "float32, and float64 where that does not decide",
        "instances": str(options.instances),
        "instances_sha256": records[0]["sha256"],
        "answers_sha256": records[1]["sha256"] if options.answers is not None else None,
        "timeout": options.timeout,
        "verify": list(options.verify),
        "jobs": options.jobs,
        "threads": options.threads,
        "version": __version__,
        "provenance": provenance(torch.device("cpu"), records, units="those of the networks' inputs"),
    }


def _row(instance: Instance, answered: Answered) -> Row:
    """One instance as JSON data."""
    found = {} if answered.document is None else answered.document["verdicts"][0]
    seconds, cpu = answered.seconds, answered.cpu_seconds
    row = {
        "index": answered.number,
        "network": instance.network,
        "property": instance.goal,
        "timeout": instance.timeout,
        "expected": instance.expected,
        "status": answered.status if answered.status in OUTCOMES else "error",
        "seconds": round(seconds, 3),
        "cpu_seconds": None if cpu is None else round(cpu, 3),
        "parts": found.get("parts", 0),
        "undecided_cases": found.get("undecided_cases"),
        "method": found.get("method") or answered.words,
        "evidence": None,
    }
    return {**row, "points": points(row)}


def _line(row: Row, done: int, total: int) -> str:
    """One instance in a line of columns: how many are done, outcome, seconds, network, property, and a remark."""
    remark = f"  WRONG: recorded as {row['expected']}" if contradicts(row) else ""
    if row["status"] == "error":
        remark = f"  {row['method']}"
    width = len(str(total))
    return (
        f"{done:>{width}}/{total}  {row['status']:<7}  {row['seconds']:>8.2f} s  {row['network']}  {row['property']}"
        f"{remark}"
    )


def _entries(document: dict[str, Any]) -> list[tuple[str, str]]:
    summary, settings = document["summary"], document["settings"]
    parts = summary["parts_per_second"]
    return [
        ("instances", f"{settings['instances']} (sha256 {settings['instances_sha256'][:12]})"),
        *((status, str(summary[status])) for status in OUTCOMES),
        ("wrong", f"{summary['wrong']} of {plural(summary['recorded'], 'recorded answer')}"),
        ("score", f"{summary['score']} of {summary['possible']} ({percent(summary['share'])})"),
        ("median time", _median_words(summary)),
        *(() if parts is None else (("parts", f"{parts:g} a second of CPU time, where inputs were split"),)),
        ("time", f"{summary['seconds']:.1f} s"),
    ]


def _median_words(summary: dict[str, Any]) -> str:
    if summary["median_seconds"] is None:
        return "nothing was decided"
    cpu = summary["median_cpu_seconds"]
    return f"{summary['median_seconds']:.2f} s where decided" + ("" if cpu is None else f", {cpu:.2f} s of CPU time")


def _accusation(wrong: Sequence[Row]) -> str:
    return f"{plural(len(wrong), 'answer')} not as recorded, the first: {wrong[0]['evidence']}"


def require_no_reserved(options: Sequence[str]) -> None:
    """Refuse options of `verify` that `bench` gives itself.

    Raises:
        InvalidInputError: one of them is among the options.
    """
    for name in ("--timeout", "--json", "--network", "--overwrite", "--quiet"):
        if any(one == name or one.startswith(f"{name}=") for one in options):
            raise InvalidInputError(f"{name} after -- is given by bench itself to each instance; leave it out.")
