"""The size of the set that a command works over: a radius, none, or what the network's file says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from autodual.perturbations.registry.registered_sets import choose_set
from autodual_cli.options.option_groups import BallOptions
from autodual_cli.options.quantities import Number

eps_option = click.option(
    "--eps",
    type=Number(minimum=0.0),
    help="Radius of the ball, such as 0.1 or 2/255. "
    "Without it and --box: the set that the network was trained for, if its file says.",
)


def has_radius(ball: BallOptions) -> bool:
    """Whether the chosen set has a radius, which a command must be told."""
    return choose_set(ball.norm, ball.set_options).entry.radius is not None


def check_size(eps: float | None, ball: BallOptions) -> None:
    """Raise UsageError where a radius or a domain is given to a set that takes none."""
    if has_radius(ball):
        return
    name = f"--norm {ball.norm}"
    if eps is not None:
        raise click.UsageError(f"{name} has no radius. Give either --eps or --{next(iter(ball.set_options))}.")
    if ball.domain is not None:
        raise click.UsageError(f"--domain clips sets that have a radius, but {name} has none; leave --domain out.")


def chosen_size(
    context: click.Context, trained: Mapping[str, Any], eps: float | None, ball: BallOptions
) -> tuple[float | None, BallOptions]:
    """The radius and the shape, taken from the network's file where a radius is needed and not given."""
    if eps is not None or not has_radius(ball):
        return eps, ball
    from autodual_cli.options.trained_set import trained_set

    return trained_set(context, trained, ball)
