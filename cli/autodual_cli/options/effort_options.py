"""The options of effort, which `certify` and `verify` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import click
from click.core import ParameterSource

from autodual.policies import Effort

#: The efforts that end in branch and bound.
SEARCHING_EFFORTS: tuple[Effort, ...] = ("high", "complete")


def effort_option(words: str, default: Effort | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: --effort, described by `words`."""
    return click.option(
        "--effort", type=click.Choice(get_args(Effort)), default=default, show_default=default is not None, help=words
    )


def check_effort(context: click.Context, effort: Effort | None, timeout: float | None, total: float | None) -> None:
    """Raise UsageError where an effort meets what it decides itself, or a time limit has nothing to limit."""
    searches = effort in SEARCHING_EFFORTS
    for option, seconds in (("--timeout", timeout), ("--total-timeout", total)):
        if seconds is not None and not searches:
            raise click.UsageError(f"{option} limits branch and bound; give --effort high or complete with it.")
        if seconds == 0:
            raise click.UsageError(f"{option} must leave some time; give more than 0 seconds.")
    if effort is not None and context.get_parameter_source("slopes") is not ParameterSource.DEFAULT:
        raise click.UsageError("--effort decides about slopes itself; leave out --slopes.")
