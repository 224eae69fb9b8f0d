"""The options of exact decisions, which `certify` and `verify` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from autodual_cli.options.quantities import Number

#: Seconds where --time-limit is not given.
DEFAULT_SECONDS = 60.0


def exact_options(each: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: --exact, and --time-limit for `each` of what a command decides."""

    def added(function: Callable[..., Any]) -> Callable[..., Any]:
        function = click.option(
            "--time-limit",
            type=Number(minimum=0.0),
            metavar="SECONDS",
            help=f"With --exact: for each {each}, {DEFAULT_SECONDS:g} by default; after that it stays unknown.",
        )(function)
        return click.option(
            "--exact",
            is_flag=True,
            help="Decide exactly what bounds and attacks leave open, by mixed-integer programs: for small networks of "
            "piecewise-linear ops. Needs HiGHS: pip install 'autodual[exact]'.",
        )(function)

    return added


def exact_seconds(exact: bool, time_limit: float | None) -> float | None:
    """The seconds that one exact decision may take; None where none was asked for.

    Raises UsageError for a limit without decisions, or one of no time.
    """
    if time_limit is not None and not exact:
        raise click.UsageError("--time-limit is that of exact decisions; give --exact with it.")
    if time_limit == 0:
        raise click.UsageError("--time-limit must leave some time; give more than 0 seconds.")
    return (DEFAULT_SECONDS if time_limit is None else time_limit) if exact else None
