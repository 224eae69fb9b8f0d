"""The command line as it was typed, for the provenance of results."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click

_KEY = "autodual.command"


def remember_command(context: click.Context, arguments: Sequence[str]) -> None:
    """Keep the command of this call, quoted for a shell; all contexts below see it."""
    context.meta[_KEY] = shlex.join([context.info_name or "autodual", *arguments])


def recall_command() -> str | None:
    """The command that is running, or None outside one."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(_KEY)
