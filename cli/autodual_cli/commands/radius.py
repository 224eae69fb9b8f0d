"""`autodual radius`: how far around each sample is the network's decision provably the same?"""

from __future__ import annotations

import click

from autodual.policies import COARSEST_RESOLUTION, RADIUS_RESOLUTION, SlopePolicy
from autodual_cli.options.option_groups import (
    BallOptions,
    DataOptions,
    ModelOptions,
    OutputOptions,
    ball_options,
    balls_option,
    data_options,
    model_options,
    output_options,
    slopes_option,
)
from autodual_cli.options.quantities import AttackChoice, Number
from autodual_cli.options.set_command import SetCommand


@click.command(cls=SetCommand)
@model_options
@ball_options
@click.option(
    "--max-radius", type=Number(minimum=0.0), default=1.0, show_default=True, help="Look no further than this."
)
@click.option(
    "--tolerance",
    type=Number(minimum=0.0, maximum=COARSEST_RESOLUTION),
    default=RADIUS_RESOLUTION,
    show_default=True,
    help="Stop this share of --max-radius below a radius that was not certified; larger ones are faster.",
)
@slopes_option
@balls_option
@click.option(
    "--attack",
    type=AttackChoice(),
    metavar="STEPS|NAME",
    help="Attack every certified set, too; a point that contradicts its certificate stops the run with its evidence.",
)
@data_options
@output_options
@click.pass_context
def radius(
    context: click.Context,
    model: ModelOptions,
    ball: BallOptions,
    max_radius: float,
    tolerance: float,
    slopes: SlopePolicy,
    balls: bool,
    attack: int | str | None,
    data: DataOptions,
    output: OutputOptions,
) -> None:
    """Find a radius up to which MODEL provably decides the same around each sample."""
    from autodual_cli.jobs.radius_job import radius_job, show_radii
    from autodual_cli.jobs.sample_loop import finish, run
    from autodual_cli.subject.model_and_data import prepare

    subject = prepare(model, data)
    job = radius_job(
        subject, ball, max_radius=max_radius, tolerance=tolerance, slopes=slopes, balls=balls, attack=attack
    )
    finish(context, run(job, len(subject.dataset), data, output, show_radii))
