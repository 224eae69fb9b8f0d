"""`autodual bench`: verify all instances of a benchmark and score the answers."""

from __future__ import annotations

from pathlib import Path

import click

from autodual_cli.options.option_groups import OutputOptions, output_options
from autodual_cli.options.quantities import Number

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("instances", metavar="INSTANCES.csv", type=_PATH)
@click.argument("verify", nargs=-1, metavar="[-- OPTIONS OF VERIFY]")
@click.option("--answers", type=_PATH, metavar="FILE", help="Recorded answers, a line with network, property and "
              "result each; without it those in a column `expected` of INSTANCES.csv.")  # fmt: skip
@click.option("--timeout", type=Number(minimum=0.001), metavar="SECONDS", help="The most for each instance, where the "
              "file gives more.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Instances at a time.")
@click.option("--threads", type=click.IntRange(min=1), show_default="the machine's, shared among the jobs",
              help="Threads of each.")  # fmt: skip
@click.option("--plot", type=_PATH, metavar="FILE.svg", help="Draw how many are decided in how much time.")
@output_options
@click.pass_context
def bench(
    context: click.Context,
    instances: Path,
    verify: tuple[str, ...],
    answers: Path | None,
    timeout: float | None,
    jobs: int,
    threads: int | None,
    plot: Path | None,
    output: OutputOptions,
) -> None:
    """Verify the instances of a benchmark, in processes of their own, and score the answers.

    INSTANCES.csv has a line network,property,timeout each, with paths relative to it, as in VNN-COMP. Right answers get
    10 points, wrong ones -150. An answer that is not the recorded one ends the command with the status 3, and its
    evidence is kept. Options after -- go to `autodual verify`.
    """
    from autodual_cli.jobs.benchmark_job import BenchOptions, require_no_reserved, run_benchmark

    require_no_reserved(verify)
    context.exit(run_benchmark(BenchOptions(instances, answers, timeout, jobs, threads, plot, verify), output))
