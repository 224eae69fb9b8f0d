"""The rule of declared functions: it takes curve and accuracy from their declaration."""

from __future__ import annotations

from autodual.dual.curves.curve_rule import CurveRule
from autodual.ir.scalars import Accuracy, Curve, CurveOp, find_declaration


class DeclaredRule(CurveRule):
    """Lines around the curve that an op declares."""

    def curve(self, op: CurveOp) -> Curve:
        return op.curve()

    def measured(self, op: CurveOp) -> Accuracy | None:
        declaration = find_declaration(type(op))
        return None if declaration is None else declaration.measured(op)
