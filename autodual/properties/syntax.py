"""The tokens of SMT-LIB text, in which both versions of VNN-LIB are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from autodual.errors import DataError

#: A parenthesis or a word, its position, and the number of parentheses open around it.
Token: TypeAlias = tuple[str, int, int]

# Words in bars or quotes may hold parentheses; comments reach to the end of their line.
_TOKEN = re.compile(r';[^\n]*|[()]|\|[^|]*\||"[^"]*"|[^\s();]+')
# A property of 150,528 inputs has three million tokens, a quarter of them opening parentheses.
_MOST_TOKENS = 3_500_000
_MOST_EXPRESSIONS = 1_000_000
_SHOWN = 80


def tokens(text: str, deepest: int) -> Iterator[Token]:
    """All tokens except comments.

    Raises:
        DataError: parentheses are nested more than `deepest` deep or do not match, or there are too many tokens.
    """
    if text.count("(") > _MOST_EXPRESSIONS:
        raise DataError(f"the property has more than {_MOST_EXPRESSIONS} expressions; split it into several files.")
    depth = 0
    for count, match in enumerate(_TOKEN.finditer(text)):
        word = match[0]
        if word == "(":
            yield word, match.start(), depth
            depth += 1
            if depth > deepest:
                raise DataError(f"the property is nested more than {deepest} deep, too deeply to be read.")
        elif word == ")":
            depth -= 1
            if depth < 0:
                raise DataError("the property closes a parenthesis that it never opened.")
            yield word, match.start(), depth
        elif word[0] != ";":
            yield word, match.start(), depth
        if count >= _MOST_TOKENS:
            raise DataError(f"the property has more than {_MOST_TOKENS} words and parentheses; split it.")
    if depth:
        raise DataError("the property ends within an expression; the file is truncated.")


def excerpt(text: str, start: int, end: int | None = None) -> str:
    """The text from `start` to `end` in one line, shortened if it is long."""
    found = " ".join(text[start : start + 4 * _SHOWN if end is None else min(end, start + 4 * _SHOWN)].split())
    return found if len(found) <= _SHOWN else found[: _SHOWN - 3] + "…"
