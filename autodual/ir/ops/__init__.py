"""The primitive operations, on one sample; everything else is lowered to these."""

from autodual.ir.ops.arithmetic import Add, ElementwiseAffine, Subtract
from autodual.ir.ops.attention import NormalizedExp, Softmax, WeightedMean
from autodual.ir.ops.branches import LogSoftmax, LogSumExp, MatrixProduct, Maximum, Multiply
from autodual.ir.ops.linear import Contraction, Convolution, Linear, TransposedConvolution
from autodual.ir.ops.normalization import DividedByNorm
from autodual.ir.ops.optional import optional
from autodual.ir.ops.reductions import (
    AdaptiveAveragePool,
    AveragePool,
    CumulativeSum,
    Interpolate,
    Mean,
    Sum,
)
from autodual.ir.ops.sources import Constant, Input
from autodual.ir.ops.stated import Within
from autodual.ir.ops.steps import Cast, Remainder
from autodual.ir.ops.structure import Concatenate, Expand, Pad, Permute, Reshape, Slice, Take
from autodual.ir.scalars.declaration import declarations
from autodual.ir.scalars.families import *  # noqa: F403 - what is declared is named in its declaration alone
from autodual.ir.scalars.function_table import *  # noqa: F403
from autodual.ir.scalars.power import *  # noqa: F403
from autodual.ir.scalars.scalar_ops import ElementwiseOp

__all__ = [
    "AdaptiveAveragePool",
    "Add",
    "AveragePool",
    "Cast",
    "Concatenate",
    "Constant",
    "Contraction",
    "Convolution",
    "CumulativeSum",
    "DividedByNorm",
    "ElementwiseAffine",
    "ElementwiseOp",
    "Expand",
    "Input",
    "Interpolate",
    "Linear",
    "LogSoftmax",
    "LogSumExp",
    "MatrixProduct",
    "Maximum",
    "Mean",
    "Multiply",
    "NormalizedExp",
    "Pad",
    "Permute",
    "Remainder",
    "Reshape",
    "Slice",
    "Softmax",
    "Subtract",
    "Sum",
    "Take",
    "TransposedConvolution",
    "WeightedMean",
    "Within",
    "optional",
    *(entry.op.__name__ for entry in declarations()),
]
