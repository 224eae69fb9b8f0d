"""`autodual evaluate`: how good certified networks are, by attacks and by ever dearer proofs."""

from __future__ import annotations

from pathlib import Path

import click

from autodual_cli.options.option_groups import (
    BallOptions,
    DataOptions,
    SeveralModels,
    ball_options,
    data_options,
    several_models,
)
from autodual_cli.options.quantities import AttackChoice, Number
from autodual_cli.options.set_command import SetCommand
from autodual_cli.options.set_size import check_size, eps_option


@click.command(cls=SetCommand)
@several_models
@eps_option
@ball_options
@click.option("--attack", type=AttackChoice(), default="standard", show_default=True, metavar="STEPS|NAME",
              help="The attack on every sample: steps of projected gradient descent, or a registered attack and its "
              "options.")  # fmt: skip
@click.option("--timeout", type=Number(minimum=0.0), default=10.0, show_default=True, metavar="SECONDS",
              help="Of the search, for each sample that bounds leave open; 0: no search.")  # fmt: skip
@data_options
@click.option("--output", required=True, type=click.Path(path_type=Path), metavar="FOLDER",
              help="For network-1.json, … (what certify writes), evaluation.json and evaluation.csv.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace the evaluation that the folder holds.")
@click.option("--resume", is_flag=True, help="Go on with the evaluation that the folder holds.")
@click.option("--quiet", is_flag=True, help="No progress and no tables.")
@click.pass_context
def evaluate(
    context: click.Context,
    models: SeveralModels,
    eps: float | None,
    ball: BallOptions,
    attack: int | str,
    timeout: float,
    data: DataOptions,
    output: Path,
    overwrite: bool,
    resume: bool,
    quiet: bool,
) -> None:
    """Compare certified networks: clean error, error under an attack, certified error by intervals, bounds and search.

    Each MODEL is certified on the same samples. Several networks, such as those of several seeds, also get the mean and
    the standard deviation of each figure.
    """
    check_size(eps, ball)
    from autodual_cli.jobs.network_comparison import Comparison, compare

    compare(context, Comparison(models, eps, ball, attack, timeout, data, output, overwrite, resume, quiet))
