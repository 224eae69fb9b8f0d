"""How numbers are shown. A value that is not a finite number is shown as a dash."""

from __future__ import annotations

import math
from typing import Any

NONE = "—"


def number(value: Any, digits: int = 4) -> str:
    """A number with so many significant digits, or a dash for anything that is not a finite number."""
    if finite(value) is None:
        return NONE
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.{digits}g}".replace("-", "−")


def exact(value: Any) -> str:
    """A setting's number as it was given, with all its digits."""
    return NONE if isinstance(value, bool) or not isinstance(value, (int, float)) else repr(value)


def percent(part: int, whole: int) -> str:
    """part / whole in per cent; only all is shown as 100 %, and only none as 0 %."""
    if not whole:
        return NONE
    share = 100 * part / whole
    if part not in (0, whole):
        share = min(max(share, 0.01), 99.99)
    return f"{share:.2f} %"


def in_percent(value: Any) -> str:
    """A share in per cent with two digits behind the point, or a dash for anything that is not a finite number."""
    share = finite(value)
    return NONE if share is None else f"{100 * share:.2f} %"


def finite(value: Any) -> float | None:
    """The value as a float if it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer that no float can hold
        return None


def plural(count: int, noun: str) -> str:
    """'1 sample', '2 samples', '2 properties'."""
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else many}"
