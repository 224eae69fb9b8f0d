"""Confidence and failure probability, each 1 less the other, in the digits that a person would write."""

from __future__ import annotations

from decimal import Decimal


def complement(probability: float) -> float:
    """1 - probability, in decimals: 0.99 leaves 0.01, where binary numbers leave 0.010000000000000009.

    A document is only a file; what lies outside [0, 1] there counts as the nearer end.
    """
    return float(1 - Decimal(repr(min(max(probability, 0), 1))))
