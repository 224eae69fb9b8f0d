"""The `autodual` command: its subcommands, and the one place where errors become a line and an exit status."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import click

from autodual import __version__
from autodual.errors import AutodualError, ContradictionError
from autodual.extensions import installed_extensions, load_extension
from autodual.extensions.commands import COMMANDS
from autodual_cli.commands.architectures import architectures
from autodual_cli.commands.attack import attack
from autodual_cli.commands.bench import bench
from autodual_cli.commands.certify import certify
from autodual_cli.commands.detect import detect
from autodual_cli.commands.evaluate import evaluate
from autodual_cli.commands.inspect import inspect
from autodual_cli.commands.radius import radius
from autodual_cli.commands.replay import replay
from autodual_cli.commands.report import report
from autodual_cli.commands.supports import supports
from autodual_cli.commands.train import train
from autodual_cli.commands.verify import verify
from autodual_cli.options.option_wording import in_options
from autodual_cli.plugins import plugin_commands
from autodual_cli.process.collection import postpone_collection
from autodual_cli.process.interruption import Interrupted, interruptible
from autodual_cli.process.invocation import remember_command, remember_extensions
from autodual_cli.process.streams import StandardStreams

_FAULT = 3


class BadInput(click.ClickException):
    """Bad usage or bad input: one line on standard error and exit status 2."""

    exit_code = 2


class Fault(click.ClickException):
    """A contradiction, which is a fault of autodual's own: one line on standard error and its exit status."""

    exit_code = _FAULT


class ErrorReportingGroup(click.Group):
    """A group whose commands may raise any AutodualError or error of the system, and stop cleanly when interrupted."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        try:
            with interruptible():
                return super().main(*arguments, **options)
        except Interrupted as interruption:
            click.echo("Interrupted.", err=True)
            sys.exit(interruption.exit_status)

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> click.Context:
        given = list(args)  # parsing consumes them
        try:
            installed = installed_extensions(_warn)
            context = super().make_context(info_name, args, *rest, **extra)
        except AutodualError as error:  # of extensions
            raise BadInput(in_options(str(error))) from error
        remember_command(context, given)
        remember_extensions(context, installed)
        return context

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of autodual's own commands, then of those that extensions and other packages offer."""
        return [*self.commands, *(name for name in _others() if name not in self.commands)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name; no package can replace one of autodual's own."""
        return self.commands.get(cmd_name) or _others().get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the whole first sentence of each, however long."""
        with formatter.section("Commands"):
            formatter.write_dl([_listed(command) for command in self.commands.values()])
        others = [_listed(command) for name, command in _others().items() if name not in self.commands]
        if others:
            with formatter.section("Commands of other packages"):
                formatter.write_dl(others)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ContradictionError as error:
            raise Fault(in_options(str(error))) from error
        except AutodualError as error:
            raise BadInput(in_options(str(error))) from error
        except OSError as error:  # an error of the system that the command did not expect
            name = "" if error.filename is None else f"'{error.filename}': "
            raise BadInput(f"{name}{error.strerror or error}.") from error


def _others() -> dict[str, click.Command]:
    """The commands that extensions have registered, and that other packages offer, by name."""
    return {**plugin_commands(), **COMMANDS}


def _listed(command: click.Command) -> tuple[str, str]:
    return str(command.name), command.get_short_help_str(limit=1000)


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"autodual {__version__}")
        ctx.exit()


def _print_name(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo("autodual")
        ctx.exit()


def _warn(sentence: str) -> None:
    click.echo(f"Warning: {sentence}.", err=True)


def _load_extensions(ctx: click.Context, _parameter: click.Parameter, places: tuple[str, ...]) -> None:
    remember_extensions(ctx, [load_extension(place) for place in places])


@click.group(
    "autodual",
    cls=ErrorReportingGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show it.")
@click.option("--name", is_flag=True, is_eager=True, expose_value=False, callback=_print_name, help="Show it.")
@click.option("--extension", multiple=True, metavar="FILE.py|MODULE", is_eager=True, expose_value=False,
              callback=_load_extensions, help="Run this code first, which may add sets, losses, operations, attacks, "
              "passes and commands; repeatable.")  # fmt: skip
def cli() -> None:
    """Certified lower bounds of neural networks, from their dual networks.

    Exit status: 0 the command ran, 1 a required result was not reached, 2 bad usage, input or output, 3 a fault of
    autodual's own, 130 or 143 interrupted, 141 nobody reads the output any more.
    """


for command in (
    certify,
    attack,
    evaluate,
    radius,
    detect,
    train,
    architectures,
    inspect,
    report,
    replay,
    verify,
    bench,
    supports,
):
    cli.add_command(command)


def _status(end: SystemExit) -> int:
    """The exit status of an end that was asked for; a message in its place, as an extension may give, is a fault."""
    if isinstance(end.code, int):
        return end.code
    if end.code is None:
        return 0
    click.echo(end.code, err=True)
    return _FAULT


def main() -> None:
    """The entry point of the console script."""
    postpone_collection()
    streams = StandardStreams()
    status = 0
    try:
        cli(prog_name="autodual")
    except SystemExit as end:
        status = _status(end)
    except Exception:
        traceback.print_exc()
        status = _FAULT
    sys.exit(streams.status(status))


if __name__ == "__main__":
    main()
