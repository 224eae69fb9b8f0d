"""Reading JSON as strictly as its standard has it, within the budgets of files."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from autodual.limits.budgets import MEMORY

_CONTAINER, _ITEM = 96, 40
"""Bytes that Python takes for a list or dictionary, and for each of its entries."""

_LARGEST = 2**64


def parse_json(name: str, data: bytes) -> Any:
    """The value of a JSON text; NaN, infinities, integers beyond 64 bits and keys that come twice are refused.

    Raises:
        BudgetError: it would take more memory than a file may; `name` is for the message.
        ValueError: it is no such text, or nests more deeply than Python's reader goes.
    """
    containers, items = data.count(b"[") + data.count(b"{"), data.count(b",") + data.count(b":")
    text = len(data) * (3 if data.isascii() else 6)  # the bytes, the text, and the texts in it
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
        raise ValueError("it nests too deeply") from None


def _dictionary(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
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
    raise ValueError(f"{text[:20]} is no number of JSON, or too large")
