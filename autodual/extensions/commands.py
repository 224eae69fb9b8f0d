"""Commands that extensions add to the command line."""

from __future__ import annotations

from typing import Any, TypeVar

from autodual.registration import same_definition

_Command = TypeVar("_Command")

COMMANDS: dict[str, Any] = {}
"""By name; the command line looks here for names that are not its own."""


def named_command(command: _Command) -> _Command:
    """Decorator: add a `click.Command` to `autodual`.

    Args:
        command: made by `@click.command()`; it may raise any AutodualError, which becomes one line and exit status 2.

    Raises:
        ValueError: another extension has a command of that name.

    Example:
        >>> import click
        >>> from autodual.extensions.commands import named_command
        >>> @named_command
        ... @click.command("hello")
        ... def hello():
        ...     '''Say hello.'''
        >>> from autodual.extensions.commands import COMMANDS
        >>> sorted(COMMANDS)
        ['hello']
    """
    name = str(command.name)  # type: ignore[attr-defined]
    present = COMMANDS.get(name)
    if present is not None and not same_definition(present.callback, command.callback):  # type: ignore[attr-defined]
        raise ValueError(f"there is already a command '{name}' of {present.callback.__module__}; choose another name")
    COMMANDS[name] = command
    return command
