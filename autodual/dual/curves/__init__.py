"""Functions of one scalar: described by value, slope and inflections, enclosed by one construction of lines."""

from autodual.dual.curves import runs, softplus, tangent  # noqa: F401 - for the rules that they register
from autodual.dual.curves.curve_rule import CurveRule
from autodual.dual.curves.declared import DeclaredRule
from autodual.dual.curves.periodic import WaveRule
from autodual.ir.scalars import Curve

__all__ = ["Curve", "CurveRule", "DeclaredRule", "WaveRule"]
