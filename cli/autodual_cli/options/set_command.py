"""A command that shapes a perturbation set: each parameter of each registered set is an option of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from autodual.errors import InvalidInputError
from autodual.perturbations.registry.registered_sets import choose_set, registered_sets
from autodual.perturbations.registry.set_entry import SetEntry

#: Where the parameters of the chosen set are among a command's values.
SET_OPTIONS = "set_options"


class SetCommand(click.Command):
    """A command with `--norm`, to which every registered set adds the options that are its own.

    What they were given is one value of the command, `set_options`: by name, as text where no norm was named, and else
    the whole set's parameters, checked.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *_options(self)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        own = {option.name: ctx.params.pop(str(option.name)) for option in _options(self)}
        given = {str(name): value for name, value in own.items() if value is not None}
        if given and ctx.get_parameter_source("norm") is not ParameterSource.COMMANDLINE:
            ctx.params["norm"] = _named_by(given) or ctx.params.get("norm")
        norm = ctx.params.get("norm")
        ctx.params[SET_OPTIONS] = given if norm is None else _checked(norm, given)
        return rest


def _options(command: click.Command) -> list[click.Option]:
    """One for each parameter of the registered sets; sets whose parameters have the same name share an option.

    Raises UsageError where the command has an option of that name.
    """
    taken = {name for parameter in command.params for name in parameter.opts}
    found: dict[str, click.Option] = {}
    for entry in registered_sets():
        for parameter in entry.own:
            if parameter.option in taken:
                raise click.UsageError(
                    f"The set '{entry.name}' has a parameter '{parameter.name}', but `autodual {command.name}` has an "
                    f"option {parameter.option} already; rename the parameter."
                )
            default = "" if parameter.default is ... else f" [default: {parameter.default}]"
            words = f"--norm {entry.name}: {parameter.help}{default}"
            metavar = parameter.kind.__name__.upper()
            if parameter.name in found:
                words = f"{found[parameter.name].help} {words}"
            found[parameter.name] = click.Option([parameter.option, parameter.name], help=words, metavar=metavar)
    return list(found.values())


def _named_by(given: Mapping[str, str]) -> str | None:
    """The set without a radius that these options shape; other sets are named by --norm."""
    for entry in registered_sets():
        if entry.radius is None and all(_has(entry, name) for name in given):
            return entry.name
    return None


def _checked(norm: str, given: Mapping[str, str]) -> dict[str, Any]:
    """All parameters of the named set; raises UsageError for those of other sets, and for missing or unfit ones."""
    for name in given:
        owners = [entry for entry in registered_sets() if _has(entry, name)]
        if norm not in [entry.name for entry in owners]:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{option} shapes another set; with it, give --norm {owners[0].name}.")
    try:
        return plain_options(choose_set(norm, given).options)
    except InvalidInputError as error:
        raise click.UsageError(f"--norm {norm}: {error}.") from None


def _has(entry: SetEntry, name: str) -> bool:
    return any(parameter.name == name for parameter in entry.own)


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """A set's parameters as JSON has them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


class NormOption(click.Option):
    """An option whose help lists the sets that are registered when it is shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        first, *others = [entry.name for entry in registered_sets() if entry.spelling is None]
        self.help = f"{', '.join([first, *others])} or a number p >= 1."
        return super().get_help_record(ctx)
