"""Exact encodings: what each nonlinear op adds to a mixed-integer program."""

from autodual.exact.encodings import largest as _largest
from autodual.exact.encodings.encoding import Decided, ExactEncoding, Operand, encoding_of, exact_encoding
from autodual.exact.encodings.piecewise import Pieces, PiecewiseLinear

del _largest

__all__ = ["Decided", "ExactEncoding", "Operand", "Pieces", "PiecewiseLinear", "encoding_of", "exact_encoding"]
