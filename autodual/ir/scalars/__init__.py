"""Functions of one scalar: each is declared once, with its curve, its accuracy, its names and its documentation."""

from autodual.ir.scalars import families, function_table, power  # noqa: F401 - imported for what they declare
from autodual.ir.scalars.curve import Curve, Domain, Piece
from autodual.ir.scalars.declaration import (
    LIBRARY,
    Accuracy,
    Declaration,
    OnnxAttributes,
    declarations,
    declare,
    find_declaration,
    record,
)
from autodual.ir.scalars.scalar_ops import CurveOp, ElementwiseOp, StairOp, WaveOp

__all__ = [
    "LIBRARY",
    "Accuracy",
    "Curve",
    "CurveOp",
    "Declaration",
    "Domain",
    "ElementwiseOp",
    "OnnxAttributes",
    "Piece",
    "StairOp",
    "WaveOp",
    "declarations",
    "declare",
    "find_declaration",
    "record",
]
