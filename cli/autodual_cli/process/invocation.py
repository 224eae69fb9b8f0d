"""The command line as it was typed, and the extensions that it was run with, for the provenance of results."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click

from autodual.extensions import Extension

_COMMAND, _EXTENSIONS = "autodual.command", "autodual.extensions"


def remember_command(context: click.Context, arguments: Sequence[str]) -> None:
    """Keep the command of this call, quoted for a shell; all contexts below see it."""
    context.meta[_COMMAND] = shlex.join([context.info_name or "autodual", *arguments])


def recall_command() -> str | None:
    """The command that is running, or None outside one."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(_COMMAND)


def remember_extensions(context: click.Context, extensions: Sequence[Extension]) -> None:
    """Keep what extensions this call was run with, beside those that are kept already."""
    context.meta[_EXTENSIONS] = (*context.meta.get(_EXTENSIONS, ()), *extensions)


def recall_extensions() -> tuple[Extension, ...]:
    """The extensions of the command that is running."""
    context = click.get_current_context(silent=True)
    return () if context is None else context.meta.get(_EXTENSIONS, ())
