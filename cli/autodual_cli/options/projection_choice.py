"""Whether bounds are to be estimated: they are if the options were given, whatever their values."""

from __future__ import annotations

import click
from click.core import ParameterSource

from autodual.policies import SlopePolicy
from autodual_cli.options.option_groups import ProjectionOptions


def chosen_projections(context: click.Context, options: ProjectionOptions) -> ProjectionOptions | None:
    """The options if they were asked for, or None: then all bounds are exact.

    Raises:
        UsageError: only the seed was given, which decides nothing by itself.
    """
    if _given(context, "projection") or _given(context, "confidence"):
        return options
    if _given(context, "seed"):
        raise click.UsageError("--seed is that of random projections; give --projection or --confidence with it.")
    return None


def chosen_slopes(context: click.Context, slopes: SlopePolicy, projections: ProjectionOptions | None) -> SlopePolicy:
    """The slopes that were asked for; with projections the shared ones, whose layers are linear.

    Raises:
        UsageError: both projections and adaptive slopes were asked for.
    """
    if projections is None:
        return slopes
    if _given(context, "slopes") and slopes != "shared":
        raise click.UsageError(
            f"Random projections need linear layers, which {slopes} slopes do not make; give --slopes shared, or "
            "neither --projection nor --confidence."
        )
    return "shared"


def _given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT
