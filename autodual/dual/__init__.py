"""Dual layers: the rule of each op, and the registry that maps op types to rules."""

from autodual.dual import convolution, elementwise, linear, pooling, relu, structure  # noqa: F401  (registers the rules)
from autodual.dual.affine import AffineLayer, StructuralLayer
from autodual.dual.layer import Contribution, DualLayer
from autodual.dual.registry import dual_rule, find_rule, registered
from autodual.dual.relaxation import LinearRelaxation, RelaxedLayer
from autodual.dual.rows import Place, Rows, Window, contract, inner
from autodual.dual.rule import AffineRule, RelaxationRule, Rule

__all__ = [
    "AffineLayer",
    "AffineRule",
    "Contribution",
    "DualLayer",
    "LinearRelaxation",
    "Place",
    "RelaxationRule",
    "RelaxedLayer",
    "Rows",
    "Rule",
    "StructuralLayer",
    "Window",
    "contract",
    "dual_rule",
    "find_rule",
    "inner",
    "registered",
]
