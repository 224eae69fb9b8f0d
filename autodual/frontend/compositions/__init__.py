"""What composite operations consist of; every frontend lowers to these.

Functions take a builder with `emit(op, *nodes, shape=...)` and nodes; all shapes and axes are those of one sample, axes
counted from 0.
"""

from autodual.frontend.compositions.arithmetic import (
    absolute,
    affine,
    difference,
    greater,
    matrix_product,
    maximum,
    minimum,
    power,
    product,
    quotient,
    scaled,
    total,
    where,
)
from autodual.frontend.compositions.emitter import Emitter, Reader
from autodual.frontend.compositions.normalization import (
    group_standardised,
    scaled_and_shifted,
    standardised,
    unit_length,
)
from autodual.frontend.compositions.recurrent import gru_step, lstm_step
from autodual.frontend.compositions.reductions import (
    MASKED_OUT,
    largest,
    masked_softmax,
    mean,
    norm,
    softmax,
    weighted_softmax,
)
from autodual.frontend.compositions.shapes import alike, broadcast, picked, reshaped, taken, taken_diagonal
from autodual.frontend.compositions.windows import adaptive_maximum, max_pool

__all__ = [
    "MASKED_OUT",
    "Emitter",
    "Reader",
    "absolute",
    "adaptive_maximum",
    "affine",
    "alike",
    "broadcast",
    "difference",
    "greater",
    "group_standardised",
    "gru_step",
    "largest",
    "lstm_step",
    "masked_softmax",
    "matrix_product",
    "max_pool",
    "maximum",
    "mean",
    "minimum",
    "norm",
    "picked",
    "power",
    "product",
    "quotient",
    "reshaped",
    "scaled",
    "scaled_and_shifted",
    "softmax",
    "standardised",
    "taken",
    "taken_diagonal",
    "total",
    "unit_length",
    "weighted_softmax",
    "where",
]
