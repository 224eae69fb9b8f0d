"""Exact verification of small piecewise-linear networks: linear and mixed-integer programs, solved by HiGHS."""

from autodual.exact.box_program import Cut, Multipliers, multipliers_of
from autodual.exact.encodings import (
    Decided,
    ExactEncoding,
    Operand,
    Pieces,
    PiecewiseLinear,
    encoding_of,
    exact_encoding,
)
from autodual.exact.linear_program import ProgramBuilder
from autodual.exact.reference_bounds import LeastValues, exact_bounds, lp_bounds

__all__ = [
    "Cut",
    "Decided",
    "ExactEncoding",
    "LeastValues",
    "Multipliers",
    "Operand",
    "Pieces",
    "PiecewiseLinear",
    "ProgramBuilder",
    "encoding_of",
    "exact_bounds",
    "exact_encoding",
    "lp_bounds",
    "multipliers_of",
]
