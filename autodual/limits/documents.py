"""Reading JSON strictly by its standard, within the budgets of files."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from autodual.limits.budgets import MEMORY

_CONTAINER, _ITEM = 96, 40
"""Bytes of memory for a list or dictionary, and for each of its entries."""

_LARGEST = 2**64


def parse_json(name: str, data: bytes) -> Any:
    """The value of a JSON text; NaN, infinities, integers beyond 64 bits and repeated keys are refused.

    Args:
        name: of the file, for messages.
        data: UTF-8.

    Raises:
        BudgetError: the value would take more memory than a file may.
        ValueError: the text is not such JSON, or is nested too deeply for Python's parser.

    Example:
        >>> from autodual.limits import parse_json
        >>> parse_json("small.json", b'{"k": [1, 2]}')
        {'k': [1, 2]}
    """
    containers, items = data.count(b"[") + data.count(b"{"), data.count(b",") + data.count(b":")
    text = len(data) * (3 if data.isascii() else 6)  # the bytes, the text, and the strings in it
    MEMORY.require(name, "its content", containers * _CONTAINER + items * _ITEM + text)
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_constant=_refuse,
            parse_float=_number,
            parse_int=_integer,
            object_pairs_hook=_dictionary,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _dictionary(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        _refuse(text)
    return number


def _integer(text: str) -> int:
    number = int(text)
    if abs(number) > _LARGEST:
        _refuse(text)
    return number


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text[:20]} is not a JSON number, or is too large")
