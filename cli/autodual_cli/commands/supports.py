"""`autodual supports`: what kinds of queries can be verified, as VNN-LIB 2.0 has programs ask."""

from __future__ import annotations

import click

from autodual_cli.options.capability_list import CAPABILITIES


def _flags(function: click.decorators.FC) -> click.decorators.FC:
    """An option for each capability."""
    for name, capability in reversed(CAPABILITIES.items()):
        function = click.option(f"--{name}", is_flag=True, help=capability.words)(function)
    return function


@click.command()
@_flags
def supports(**asked: bool) -> None:
    """Print what `autodual verify` can do, a line each: the solver interface of VNN-LIB 2.0.

    The names of the theories are those of the standard: N or S in front means none or a single one.
    """
    names = [name for name in CAPABILITIES if asked[name.replace("-", "_")]]
    if len(names) != 1:
        raise click.UsageError("Ask for one capability, such as --onnx-element-types.")
    for line in CAPABILITIES[names[0]].lines():
        click.echo(line)
