"""`autodual certify`: is the network's decision the same everywhere in the set around each sample?"""

from __future__ import annotations

import click

from autodual.policies import SlopePolicy
from autodual_cli.options.option_groups import (
    BallOptions,
    DataOptions,
    ModelOptions,
    OutputOptions,
    ProjectionOptions,
    ball_options,
    data_options,
    model_options,
    output_options,
    projection_options,
    slopes_option,
)
from autodual_cli.options.projection_choice import chosen_projections, chosen_slopes
from autodual_cli.options.quantities import AttackChoice, Number
from autodual_cli.options.set_command import SetCommand


@click.command(cls=SetCommand)
@model_options
@click.option(
    "--eps",
    type=Number(minimum=0.0),
    help="Radius of the ball, such as 0.1 or 2/255. "
    "Without it and --box: the set that the network was trained for, if its file says.",
)
@ball_options
@click.option("--box", metavar="LOWER.npy,UPPER.npy", help="Certify over this box (one, or one per sample) instead.")
@click.option(
    "--cascade", is_flag=True, help="MODEL holds several networks, tried in turn until one certifies the sample."
)
@click.option(
    "--spec",
    metavar="PROPERTY",
    help="What to certify instead of 'the label's score is the largest': top-k:K, deviation:D, box:LOWER,UPPER, a "
    ".json file, or a formula such as 'y0 > y1 and y2 < 0.5'. The grammar is in docs/specifications.md.",
)
@slopes_option
@projection_options
@click.option(
    "--attack",
    type=AttackChoice(),
    metavar="STEPS|NAME",
    help="Seek counterexamples where no bound proves: by so many steps of projected gradient descent, or by a "
    "registered attack and its options, such as pgd:steps=20,restarts=5 or fgsm.",
)
@click.option(
    "--deployed",
    is_flag=True,
    help="Count only margins that also exceed what rounding may cost where the network itself is run.",
)
@data_options
@output_options
@click.option(
    "--require-certified", type=Number(minimum=0.0, maximum=100.0), metavar="PCT", help="Exit with 1 below this."
)
@click.pass_context
def certify(
    context: click.Context,
    model: ModelOptions,
    eps: float | None,
    ball: BallOptions,
    box: str | None,
    cascade: bool,
    spec: str | None,
    slopes: SlopePolicy,
    projections: ProjectionOptions,
    attack: int | str | None,
    deployed: bool,
    data: DataOptions,
    output: OutputOptions,
    require_certified: float | None,
) -> None:
    """Certify that MODEL decides the same over a whole set around each sample."""
    if eps is not None and box is not None:
        raise click.UsageError("Give either --eps or --box.")
    if box is not None and ball.domain is not None:
        raise click.UsageError("--domain clips balls; clip the box itself.")
    if box is not None and ball.norm != "linf":
        raise click.UsageError("--norm shapes balls; a box has none.")
    chosen = chosen_projections(context, projections)
    slopes = chosen_slopes(context, slopes, chosen)
    from autodual_cli.jobs.cascade_job import cascade_job, check_cascade_options, show_cascade
    from autodual_cli.jobs.certification_job import certification_job, show_certification
    from autodual_cli.jobs.required_share import unmet
    from autodual_cli.jobs.sample_loop import finish, run
    from autodual_cli.options.trained_set import trained_set
    from autodual_cli.subject.model_and_data import prepare

    if cascade:
        check_cascade_options({"--box": box, "--spec": spec, "--attack": attack, "--projection": chosen})
    subject = prepare(model, data, chosen, cascade=cascade)
    if eps is None and box is None:
        eps, ball = trained_set(context, subject.trained, ball)
    if cascade:
        assert eps is not None  # without --box it was given, or trained for
        job = cascade_job(subject, ball, eps=eps, slopes=slopes, deployed=deployed)
    else:
        job = certification_job(
            subject, ball, eps=eps, box=box, spec=spec, slopes=slopes, attack=attack, deployed=deployed
        )
    outcome = run(job, len(subject.dataset), data, output, show_cascade if cascade else show_certification)
    finish(context, outcome)
    missing = None if require_certified is None else unmet(outcome.document, require_certified)
    if missing is not None:
        click.echo(missing, err=True)
        context.exit(1)
