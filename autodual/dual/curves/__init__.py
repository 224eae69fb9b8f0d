"""Functions of one scalar: described by value, slope and inflections, enclosed by one construction of lines."""

from autodual.dual.curves import bent, inverse, periodic, power, smooth, softplus, tangent
from autodual.dual.curves.curve import Curve
from autodual.dual.curves.rule import CurveRule

__all__ = ["Curve", "CurveRule", "bent", "inverse", "periodic", "power", "smooth", "softplus", "tangent"]
