"""Dual layers: the rule of each op, and the registry that maps op types to rules."""

from autodual.dual import (  # noqa: F401  (registers the rules)
    cast,
    contraction,
    convolution,
    curves,
    elementwise,
    linear,
    matrix_product,
    maximum,
    normalization,
    normalized_exp,
    pooling,
    product,
    reductions,
    relu,
    remainder,
    scalars,
    softmax,
    steps,
    structure,
    tied_softmax,
)
from autodual.dual.affine import AffineLayer, StructuralLayer
from autodual.dual.ball import Ball, Piece
from autodual.dual.ball_layer import BallLayer
from autodual.dual.execution import Executed, Precision, Run
from autodual.dual.family import FamilyLayer, LineFamily
from autodual.dual.layer import Contribution, DualLayer
from autodual.dual.registry import dual_rule, find_rule, registered
from autodual.dual.relaxation import LinearRelaxation, RelaxedLayer
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.dual.row_products import contract, inner
from autodual.dual.row_windows import Place, Window
from autodual.dual.rows import Rows
from autodual.dual.rule import AffineRule, NonlinearRule, Rule
from autodual.dual.spectral_norm import spectral_norm_bound

__all__ = [
    "AffineLayer",
    "AffineRule",
    "Ball",
    "BallLayer",
    "Contribution",
    "DualLayer",
    "Executed",
    "FamilyLayer",
    "LineFamily",
    "LinearRelaxation",
    "NonlinearRule",
    "Piece",
    "Place",
    "Precision",
    "RelaxationRule",
    "RelaxedLayer",
    "Rows",
    "Rule",
    "Run",
    "StructuralLayer",
    "Window",
    "contract",
    "dual_rule",
    "find_rule",
    "inner",
    "registered",
    "spectral_norm_bound",
]
