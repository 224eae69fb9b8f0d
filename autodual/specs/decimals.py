"""Decimal text as an exact fraction, and fractions as the nearest float64."""

from __future__ import annotations

import sys
from fractions import Fraction


class NumberError(ValueError):
    """A number that float64 cannot hold; the message completes "the number …", as in "is too large"."""


def exact(text: str) -> Fraction:
    """The value of a decimal in Python's notation, such as "0.1", "1e-3" or "1_000.5".

    Raises NumberError if its exponent is beyond float64's: the exact fraction could fill the memory.
    """
    text = text.replace("_", "")
    mantissa = Fraction(text.lower().partition("e")[0])
    near = abs(float(text))
    if near == float("inf"):
        raise NumberError("is too large")
    if mantissa and near == 0:
        raise NumberError("is too small")
    return Fraction(text) if mantissa else mantissa


def rounded(value: Fraction) -> float:
    """The nearest float64, with a relative error of at most one unit roundoff.

    Raises NumberError if it is too large, or subnormal, where rounding errors are no longer relative.
    """
    try:
        found = float(value)
    except OverflowError:
        raise NumberError("is too large") from None
    if value and abs(found) < sys.float_info.min:
        raise NumberError("is too small")
    return found
