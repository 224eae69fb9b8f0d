"""A two-column table of names and values: ruled on a terminal, aligned plain text in a pipe."""

from __future__ import annotations

import io
from collections.abc import Sequence

Entry = tuple[str, str]


def format_table(title: str, entries: Sequence[Entry], *, terminal: bool) -> str:
    """A table of names and values as text.

    Args:
        title: the first line.
        entries: names with their values.
        terminal: whether to add rules and colours, for a person at a terminal.

    Example:
        >>> from autodual.report import format_table
        >>> print(format_table("Certification", [("samples", "60"), ("certified", "58")], terminal=False))
        Certification
          samples    60
          certified  58
    """
    if not terminal:
        width = max((len(name) for name, _ in entries), default=0)
        return "\n".join([title, *(f"  {name:<{width}}  {value}" for name, value in entries)])
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), show_header=False, title_justify="left")
    for name, value in entries:
        table.add_row(escape(name), escape(value))
    buffer = io.StringIO()
    Console(file=buffer, force_terminal=True).print(table)
    return buffer.getvalue().rstrip("\n")
