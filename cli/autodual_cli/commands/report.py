"""`autodual report`: the result of any run as one page that a person can read, print and keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from autodual_cli.options.option_groups import EvaluationOptions, overwrite_option
from autodual_cli.options.quantities import Memory

_PATH = click.Path(path_type=Path)
_OF_A_FILE = ("html", "counterexamples", "points", "worst")
_OF_BOTH = ("result", "overwrite", "quiet")


# fmt: off
@click.command()
@click.argument("result", metavar="RESULT.json|RUN", type=_PATH)
@click.option("--html", type=_PATH, help="Write the page here; by default beside RESULT.json, with the ending .html.")
@click.option("--counterexamples", type=_PATH, metavar="FOLDER", help="Save the counterexamples there, as .npy files.")
@click.option("--points", type=_PATH, help="Where the file of attack's --save-points is now.")
@click.option("--worst", type=click.IntRange(min=1), default=20, show_default=True,
              help="List so many of the worst samples.")
@click.option("--data", help="RUN only: the samples to evaluate on; by default the test set of what it was trained on.")
@click.option("--data-dir", type=_PATH, help="RUN only: where the data set's files are; by default as in training.")
@click.option("--limit", type=click.IntRange(min=1), help="RUN only: take so many samples.")
@click.option("--radii", type=click.IntRange(min=0), default=100, show_default=True,
              help="RUN only: find the certified radii of so many samples.")
@click.option("--certificates/--no-certificates", default=True, show_default=True,
              help="RUN only: certify, too, or attack alone, since bounds of deep networks take minutes a sample.")
@click.option("--attack-steps", type=click.IntRange(min=1), default=40, show_default=True,
              help="RUN only: of projected gradient descent.")
@click.option("--restarts", type=click.IntRange(min=1), default=1, show_default=True, help="RUN only: of the same.")
@click.option("--batch-size", type=click.IntRange(min=1), default=50, show_default=True, help="RUN only.")
@click.option("--arch", metavar="PLACE:FACTORY", help="RUN only: the network's own code, where it has some. Runs it.")
@click.option("--device", default="cpu", show_default=True, help="RUN only: cpu, cuda or cuda:N.")
@click.option("--memory", type=Memory(), help="RUN only: memory budget of the bounds, such as 1GiB.")
@overwrite_option
@click.option("--quiet", is_flag=True, help="No progress.")
@click.pass_context
def report(
    context: click.Context,
    result: Path,
    html: Path | None,
    counterexamples: Path | None,
    points: Path | None,
    worst: int,
    overwrite: bool,
    **evaluation: Any,
) -> None:
    """Render a result as one self-contained page.

    RESULT.json is what certify, attack, radius, detect or verify wrote with --json. RUN is a folder that train made:
    its network is attacked and certified on a test set first, and RUN/report.json and RUN/report.html are written.
    """
    _check_options(context, of_a_run=result.is_dir())
    if result.is_dir():
        from autodual_cli.tasks.run_evaluation import evaluate_run

        evaluate_run(EvaluationOptions(run=result, overwrite=overwrite, **evaluation))
        return
    from autodual_cli.tasks.result_page import write_page

    click.echo(write_page(result, html, counterexamples, worst, points, overwrite=overwrite))
# fmt: on


def _check_options(context: click.Context, *, of_a_run: bool) -> None:
    """Refuse options that say something of the other kind of result, which would not be looked at."""
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if given and name not in _OF_BOTH and (name in _OF_A_FILE) == of_a_run:
            wanted, found = ("a result's file", "a run's folder") if of_a_run else ("a run's folder", "a result's file")
            raise click.UsageError(f"{parameter.opts[0]} is for {wanted}, but this is {found}; leave it out.")
