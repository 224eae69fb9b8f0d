"""What a custom operation needs, from one place; the built-in rules use nothing else.

A function of one scalar is added by one call of `scalar_op`. Any other operation is added in three steps: an `Op` that
can run itself, a function under `@lowers(torch.ops.…)` that emits it while a model is traced, and a rule under
`@dual_rule(TheOp)`: an `AffineRule`, or a `RelaxationRule`; `autodual.testing.check_dual_rule` tells whether it is
right. The operation is one of ATen or of `torch.library`; under `@lowers_module(TheClass)` it is a whole module, whose
inside is not looked at.
"""

from autodual.dual import (
    AffineLayer,
    AffineRule,
    Contribution,
    DualLayer,
    Executed,
    LinearRelaxation,
    LineFamily,
    NonlinearRule,
    RelaxationRule,
    Rows,
    Run,
    StructuralLayer,
    dual_rule,
)
from autodual.dual.curves import Curve, CurveRule
from autodual.extend.scalar import scalar_family, scalar_op
from autodual.frontend import Builder, Unsupported, lowers, lowers_module
from autodual.interval import Interval
from autodual.ir import Environment, Expression, Node, Op
from autodual.ir.ops import ElementwiseOp
from autodual.ir.scalars import Accuracy, CurveOp, Domain

__all__ = [
    "Accuracy",
    "AffineLayer",
    "AffineRule",
    "Builder",
    "Contribution",
    "Curve",
    "CurveOp",
    "CurveRule",
    "Domain",
    "DualLayer",
    "ElementwiseOp",
    "Environment",
    "Executed",
    "Expression",
    "Interval",
    "LineFamily",
    "LinearRelaxation",
    "Node",
    "NonlinearRule",
    "Op",
    "RelaxationRule",
    "Rows",
    "Run",
    "StructuralLayer",
    "Unsupported",
    "dual_rule",
    "lowers",
    "lowers_module",
    "scalar_family",
    "scalar_op",
]
