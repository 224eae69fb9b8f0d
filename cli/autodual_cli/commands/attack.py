"""`autodual attack`: is there a point of the set around each sample at which the network's decision fails?"""

from __future__ import annotations

from pathlib import Path

import click

from autodual_cli.options.option_groups import (
    BallOptions,
    DataOptions,
    ModelOptions,
    OutputOptions,
    attacked_data_options,
    ball_options,
    network_options,
    output_options,
)
from autodual_cli.options.quantities import AttackChoice, Number
from autodual_cli.options.set_command import SetCommand
from autodual_cli.options.set_size import check_size, chosen_size, eps_option


@click.command(cls=SetCommand)
@network_options
@eps_option
@ball_options
@click.option(
    "--attack",
    "attacks",
    type=AttackChoice(),
    multiple=True,
    default=("standard",),
    show_default=True,
    metavar="STEPS|NAME",
    help="A registered attack and its options, such as pgd:steps=20,restarts=5, or so many steps of projected gradient "
    "descent; repeatable.",
)
@click.option(
    "--smallest-eps",
    type=Number(minimum=0.0),
    help="Attack at this radius first, and at ever larger ones up to --eps until a sample breaks.",
)
@click.option(
    "--growth",
    type=Number(minimum=1.001),
    default=1.1,
    show_default=True,
    help="How much larger each radius is after --smallest-eps.",
)
@click.option("--restarts", type=click.IntRange(min=1), help="Of all attacks that have restarts and do not say.")
@click.option("--seed", type=int, help="Of all attacks that draw random numbers and do not say.")
@click.option(
    "--spec", metavar="PROPERTY", help="What is to fail instead of 'the label's score is the largest', as for certify."
)
@click.option(
    "--targeted", type=click.IntRange(min=0), metavar="CLASS", help="Seek points that the network gives this class."
)
@attacked_data_options
@output_options
@click.option(
    "--save-points",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Write the points that break samples here, with the samples.",
)
@click.option(
    "--require-robust", type=Number(minimum=0.0, maximum=100.0), metavar="PCT", help="Exit with 1 if less resists."
)
@click.pass_context
def attack(
    context: click.Context,
    model: ModelOptions,
    eps: float | None,
    ball: BallOptions,
    attacks: tuple[int | str, ...],
    smallest_eps: float | None,
    growth: float,
    restarts: int | None,
    seed: int | None,
    spec: str | None,
    targeted: int | None,
    data: DataOptions,
    output: OutputOptions,
    save_points: Path | None,
    require_robust: float | None,
) -> None:
    """Seek a point of the set around each sample at which MODEL's decision fails."""
    check_size(eps, ball)
    if spec is not None and targeted is not None:
        raise click.UsageError("Give either --spec or --targeted, which stands for --spec not-class:CLASS.")
    from autodual_cli.jobs.attack_job import AttackChoices, attack_job, show_attack
    from autodual_cli.jobs.question import Question
    from autodual_cli.jobs.required_share import too_few_resist
    from autodual_cli.jobs.sample_loop import finish, run
    from autodual_cli.subject.model_and_data import prepare

    subject = prepare(model, data)
    eps, ball = chosen_size(context, subject.trained, eps, ball)
    goal = spec if targeted is None else f"not-class:{targeted}"
    if smallest_eps is not None and (eps is None or not 0 < smallest_eps <= eps):
        raise click.UsageError("--smallest-eps is a radius above 0 and at most --eps, which it needs.")
    question = Question.of(subject, ball, eps=eps, spec=goal)
    choices = AttackChoices(attacks, restarts, seed, save_points, first=data.skip, smallest=smallest_eps, growth=growth)
    outcome = run(attack_job(question, choices), len(subject.dataset), data, output, show_attack)
    finish(context, outcome)
    missing = None if require_robust is None else too_few_resist(outcome.document, require_robust)
    if missing is not None:
        click.echo(missing, err=True)
        context.exit(1)
