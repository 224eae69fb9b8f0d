"""The size of the set that a command works over: a radius, a box, or what the network's file says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from autodual_cli.options.option_groups import BallOptions
from autodual_cli.options.quantities import Number

eps_option = click.option(
    "--eps",
    type=Number(minimum=0.0),
    help="Radius of the ball, such as 0.1 or 2/255. "
    "Without it and --box: the set that the network was trained for, if its file says.",
)


def box_option(doing: str) -> Any:
    """`--box`; `doing` is what the command does over it."""
    words = f"{doing} over this box (one, or one per sample) instead."
    return click.option("--box", metavar="LOWER.npy,UPPER.npy", help=words)


def check_size(eps: float | None, box: str | None, ball: BallOptions) -> None:
    """Raise UsageError where a radius or a shape is given together with a box."""
    if eps is not None and box is not None:
        raise click.UsageError("Give either --eps or --box.")
    if box is not None and ball.domain is not None:
        raise click.UsageError("--domain clips balls; clip the box itself.")
    if box is not None and ball.norm != "linf":
        raise click.UsageError("--norm shapes balls; a box has none.")


def chosen_size(
    context: click.Context, trained: Mapping[str, Any], eps: float | None, box: str | None, ball: BallOptions
) -> tuple[float | None, BallOptions]:
    """The radius and the shape, taken from the network's file where neither radius nor box is given."""
    if eps is not None or box is not None:
        return eps, ball
    from autodual_cli.options.trained_set import trained_set

    return trained_set(context, trained, ball)
