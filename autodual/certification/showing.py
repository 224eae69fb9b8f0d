"""How outcomes are displayed: a short line in a session, a table in a notebook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

from autodual.network import Ask

# A notebook's table of many outcomes shows so many of them.
_SHOWN = 20
# A cell of a table shows so many numbers: all margins of ten classes, not those of an image's pixels.
_NUMBERS = 12


def bound_words(noun: str, ask: Ask) -> str:
    """`dual bound over intervals, adaptive slopes`: which bounds an ask is for."""
    over = " over intervals" if ask.inner == "interval" else ""
    last = ", the last ones by intervals" if ask.last == "interval" else ""
    balls = " in balls" if ask.balls else ""
    return f"{noun}{over}{last}, {ask.slopes} slopes{balls}"


def short(name: str, status: object, parts: Iterable[tuple[str, object]]) -> str:
    """`Name(status, key=value, …)`, leaving out what is None."""
    words = [f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in _known(parts)]
    return f"{name}({', '.join([str(status), *words])})"


def html_pairs(pairs: Iterable[tuple[str, object]]) -> str:
    """A table of names and values, leaving out what is None."""
    lines = (f"<tr><th>{escape(name)}</th><td>{escape(_words(value))}</td></tr>" for name, value in _known(pairs))
    return f"<table>{''.join(lines)}</table>"


def html_rows(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table with a line of headings, and how many rows are not shown."""
    lines = ["".join(f"<td>{escape(_words(value))}</td>" for value in row) for row in rows[:_SHOWN]]
    if len(rows) > _SHOWN:
        lines.append(f"<td colspan={len(heads)}>… and {len(rows) - _SHOWN:,} more</td>")
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def counted(statuses: Iterable[object]) -> str:
    """`3 certified, 1 unknown`."""
    return ", ".join(f"{count:,} {status}" for status, count in Counter(map(str, statuses)).items())


def _known(pairs: Iterable[tuple[str, object]]) -> list[tuple[str, object]]:
    return [(name, value) for name, value in pairs if value is not None and value != ()]


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        rest = [f"… and {len(value) - _NUMBERS:,} more"] if len(value) > _NUMBERS else []
        return ", ".join([*map(_words, value[:_NUMBERS]), *rest])
    return str(value)
