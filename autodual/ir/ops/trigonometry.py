"""Trigonometric and hyperbolic functions of each scalar, and their inverses."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from autodual.ir.ops.activations import ElementwiseOp


@dataclass(frozen=True, eq=False)
class Sin(ElementwiseOp):
    """The sine."""

    def function(self, x: Tensor) -> Tensor:
        return x.sin()


@dataclass(frozen=True, eq=False)
class Cos(ElementwiseOp):
    """The cosine."""

    def function(self, x: Tensor) -> Tensor:
        return x.cos()


@dataclass(frozen=True, eq=False)
class Tan(ElementwiseOp):
    """The tangent, of x other than π/2 + kπ."""

    def function(self, x: Tensor) -> Tensor:
        return x.tan()


@dataclass(frozen=True, eq=False)
class Arcsin(ElementwiseOp):
    """The inverse sine, of -1 ≤ x ≤ 1."""

    def function(self, x: Tensor) -> Tensor:
        return x.asin()


@dataclass(frozen=True, eq=False)
class Arccos(ElementwiseOp):
    """The inverse cosine, of -1 ≤ x ≤ 1."""

    def function(self, x: Tensor) -> Tensor:
        return x.acos()


@dataclass(frozen=True, eq=False)
class Arctan(ElementwiseOp):
    """The inverse tangent."""

    def function(self, x: Tensor) -> Tensor:
        return x.atan()


@dataclass(frozen=True, eq=False)
class Sinh(ElementwiseOp):
    """(eˣ - e⁻ˣ)/2."""

    def function(self, x: Tensor) -> Tensor:
        return x.sinh()


@dataclass(frozen=True, eq=False)
class Cosh(ElementwiseOp):
    """(eˣ + e⁻ˣ)/2."""

    def function(self, x: Tensor) -> Tensor:
        return x.cosh()


@dataclass(frozen=True, eq=False)
class Arcsinh(ElementwiseOp):
    """The inverse hyperbolic sine, log(x + √(x² + 1))."""

    def function(self, x: Tensor) -> Tensor:
        return x.asinh()


@dataclass(frozen=True, eq=False)
class Arccosh(ElementwiseOp):
    """The inverse hyperbolic cosine, of x ≥ 1."""

    def function(self, x: Tensor) -> Tensor:
        return x.acosh()


@dataclass(frozen=True, eq=False)
class Arctanh(ElementwiseOp):
    """The inverse hyperbolic tangent, of -1 < x < 1."""

    def function(self, x: Tensor) -> Tensor:
        return x.atanh()
