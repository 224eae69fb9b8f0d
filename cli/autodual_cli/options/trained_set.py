"""The perturbation set that a network's own file says it was trained for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from autodual.errors import InvalidInputError, ModelFileError
from autodual.perturbations import choose_set
from autodual.train.recipe import SetSection, assemble
from autodual_cli.options.option_groups import BallOptions


def trained_set(context: click.Context, trained: Mapping[str, Any], ball: BallOptions) -> tuple[float, BallOptions]:
    """Radius and shape of the set, for a command that was told no size; how training bounded it does not count.

    Raises UsageError if the file does not record a set, or if options give a shape without a size.
    """
    if "set" not in trained:
        raise click.UsageError("Give either --eps or --box.")
    for name in ("norm", "domain"):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} shapes a ball; give its radius --eps too.")
    if ball.set_options:
        raise click.UsageError(f"--{next(iter(ball.set_options))} shapes a set; give its radius --eps too.")
    try:
        section = assemble(SetSection, trained["set"])
    except InvalidInputError as error:
        raise ModelFileError(
            f"The set that the network's file names cannot be made, so give --eps and --norm: {error}."
        ) from None
    parameters = {one.name: one for one in choose_set(section.norm, section.options).entry.parameters}
    points = {name: value for name, value in section.options.items() if not parameters[name].bounding}
    return section.eps, BallOptions(section.norm, section.domain or None, points)
