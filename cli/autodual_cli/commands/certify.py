"""`autodual certify`: is the network's decision the same everywhere in the set around each sample?"""

from __future__ import annotations

import click

from autodual.policies import Effort, SlopePolicy
from autodual_cli.options.effort_options import check_effort, effort_option
from autodual_cli.options.exact_options import exact_options, exact_seconds
from autodual_cli.options.option_groups import (
    BallOptions,
    DataOptions,
    ModelOptions,
    OutputOptions,
    ProjectionOptions,
    ball_options,
    balls_option,
    data_options,
    model_options,
    output_options,
    projection_options,
    slopes_option,
)
from autodual_cli.options.projection_choice import chosen_projections, chosen_slopes
from autodual_cli.options.quantities import AttackChoice, Number
from autodual_cli.options.set_command import SetCommand
from autodual_cli.options.set_size import check_size, chosen_size, eps_option, has_radius


@click.command(cls=SetCommand)
@model_options
@eps_option
@ball_options
@click.option(
    "--cascade", is_flag=True, help="MODEL holds several networks, tried in turn until one certifies the sample."
)
@click.option(
    "--spec",
    metavar="PROPERTY",
    help="What to certify instead of 'the label's score is the largest': top-k:K, not-class:C, deviation:D, "
    "box:LOWER,UPPER, a .json file, or a formula such as 'y0 > y1 and y2 < 0.5'. The grammar is in "
    "docs/specifications.md.",
)
@slopes_option
@balls_option
@projection_options
@click.option(
    "--attack",
    type=AttackChoice(),
    metavar="STEPS|NAME",
    help="Seek counterexamples where no bound proves: by so many steps of projected gradient descent, or by a "
    "registered attack and its options, such as pgd:steps=20,restarts=5 or fgsm.",
)
@effort_option("Bound in stages, each on what is open: fast (over intervals), normal (then adaptive slopes), high "
               "(then optimized slopes, and 10 seconds of branch and bound a sample) or complete (until it is "
               "decided). In place of --slopes.")  # fmt: skip
@click.option("--timeout", type=Number(minimum=0.0), metavar="SECONDS",
              help="With --effort high or complete: the time of branch and bound, for each sample.")  # fmt: skip
@click.option("--total-timeout", type=Number(minimum=0.0), metavar="SECONDS",
              help="With --effort high or complete: the time after which no sample is searched any more.")  # fmt: skip
@exact_options("sample")
@click.option(
    "--bracket",
    is_flag=True,
    help="Attack certified samples, too, and show between which numbers the truth lies. Needs --attack.",
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
    cascade: bool,
    spec: str | None,
    slopes: SlopePolicy,
    balls: bool,
    projections: ProjectionOptions,
    attack: int | str | None,
    effort: Effort | None,
    timeout: float | None,
    total_timeout: float | None,
    exact: bool,
    time_limit: float | None,
    bracket: bool,
    deployed: bool,
    data: DataOptions,
    output: OutputOptions,
    require_certified: float | None,
) -> None:
    """Certify that MODEL decides the same over a whole set around each sample."""
    check_size(eps, ball)
    seconds = exact_seconds(exact, time_limit)
    if bracket and attack is None:
        raise click.UsageError("--bracket compares certificates with an attack; give --attack with it.")
    check_effort(context, effort, timeout, total_timeout)
    chosen = chosen_projections(context, projections)
    slopes = chosen_slopes(context, slopes, chosen)
    if chosen is not None:
        _check_projected(effort, balls)
    from autodual_cli.jobs.cascade_job import cascade_job, check_cascade_options, show_cascade
    from autodual_cli.jobs.certification_job import Limits, Means, certification_job, show_certification
    from autodual_cli.jobs.question import Question
    from autodual_cli.jobs.required_share import unmet
    from autodual_cli.jobs.sample_loop import finish, run
    from autodual_cli.subject.model_and_data import prepare

    if cascade:
        fixed = {} if has_radius(ball) else {f"--norm {ball.norm}": ball.norm}
        check_cascade_options({**fixed, "--spec": spec, "--projection": chosen, "--exact": seconds, "--effort": effort})
        if attack is not None and not bracket:
            raise click.UsageError("--cascade is attacked for a bracket alone; give --bracket with --attack.")
    subject = prepare(model, data, chosen, cascade=cascade)
    eps, ball = chosen_size(context, subject.trained, eps, ball)
    limits = Limits(effort, timeout, total_timeout)
    means = Means(slopes, attack, balls=balls, deployed=deployed, exact_seconds=seconds, bracket=bracket, limits=limits)
    if cascade:
        assert eps is not None  # it was given, or trained for
        job = cascade_job(subject, ball, eps=eps, means=means)
    else:
        job = certification_job(Question.of(subject, ball, eps=eps, spec=spec), means)
    outcome = run(job, len(subject.dataset), data, output, show_cascade if cascade else show_certification)
    finish(context, outcome)
    missing = None if require_certified is None else unmet(outcome.document, require_certified)
    if missing is not None:
        click.echo(missing, err=True)
        context.exit(1)


def _check_projected(effort: Effort | None, balls: bool) -> None:
    """Refuse options that do not go with --projection."""
    if effort is not None:
        raise click.UsageError("--effort needs exact bounds; leave out --projection.")
    if balls:
        raise click.UsageError("Random projections need linear layers, which --balls does not leave; drop one of them.")
