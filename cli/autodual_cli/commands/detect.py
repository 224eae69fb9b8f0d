"""`autodual detect`: which inputs may be adversarial examples of a clean input within the radius?"""

from __future__ import annotations

import click

from autodual.policies import SlopePolicy
from autodual_cli.options.option_groups import (
    BallOptions,
    DataOptions,
    ModelOptions,
    OutputOptions,
    ball_options,
    data_options,
    model_options,
    output_options,
    slopes_option,
)
from autodual_cli.options.quantities import Number
from autodual_cli.options.set_command import SetCommand


@click.command(cls=SetCommand)
@model_options
@click.option("--eps", type=Number(minimum=0.0), required=True, help="Radius of the ball, such as 0.1 or 2/255.")
@ball_options
@slopes_option
@data_options
@output_options
@click.pass_context
def detect(
    context: click.Context,
    model: ModelOptions,
    eps: float,
    ball: BallOptions,
    slopes: SlopePolicy,
    data: DataOptions,
    output: OutputOptions,
) -> None:
    """Flag inputs of MODEL that may be adversarial; those not flagged provably are not, within the radius."""
    from autodual_cli.jobs.detection_job import detection_job, show_detections
    from autodual_cli.jobs.sample_loop import finish, run
    from autodual_cli.subject.model_and_data import prepare

    subject = prepare(model, data)
    job = detection_job(subject, ball, eps=eps, slopes=slopes)
    finish(context, run(job, len(subject.dataset), data, output, show_detections))
