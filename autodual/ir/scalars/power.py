"""Powers with a constant exponent, whose domain and shape depend on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from autodual.ir.scalars.curve import Curve, Domain
from autodual.ir.scalars.declaration import LIBRARY, Accuracy, declare, names_in
from autodual.ir.scalars.scalar_ops import CurveOp

_INFINITY = math.inf
_EXPONENTS = (2, 0, 1, 3, 4, 5, 0.5, 1.5, -0.5, -1, -1.5, -2, -3)


@declare(
    accuracy=Accuracy(LIBRARY),
    aten={
        "square": lambda: Power(2.0),
        "sqrt": lambda: Power(0.5),
        "rsqrt": lambda: Power(-0.5),
        "reciprocal": lambda: Power(-1.0),
    },
    onnx={"Sqrt": lambda _: Power(0.5), "Reciprocal": lambda _: Power(-1.0)},
    examples=lambda: tuple(Power(float(exponent)) for exponent in _EXPONENTS),
)
@dataclass(frozen=True, eq=False)
class Power(CurveOp):
    """xᵖ for a constant exponent: of every x for whole p ≥ 0, of x ≠ 0 for whole p < 0, else of x ≥ 0 or x > 0.

    Squares, square roots (p = ½), reciprocals (p = -1) and reciprocal square roots are powers.
    """

    exponent: float

    @property
    def whole(self) -> bool:
        """Whether the exponent is a whole number."""
        return float(self.exponent).is_integer()

    def function(self, x: Tensor) -> Tensor:
        if self.exponent == 2:
            return x * x
        if self.exponent == 0.5:
            return x.sqrt()
        if self.exponent == -1:
            return x.reciprocal()
        if self.exponent == -0.5:
            return x.rsqrt()
        return x.pow(int(self.exponent) if self.whole else self.exponent)

    def curve(self) -> Curve:
        """Convex or concave on each side of zero, by the exponent."""
        p, whole = self.exponent, self.whole
        odd = whole and p % 2 == 1
        limits = (-_INFINITY, _INFINITY) if odd else (0.0, _INFINITY)
        if p == 0 or p == 1:
            everywhere = ((-_INFINITY, _INFINITY),)
            return Curve(
                self.function,
                lambda z: torch.full_like(z, p),
                straight=everywhere,
                limits=limits,
                domain=self._domain(),
            )
        return Curve(
            self.function,
            lambda z: p * (z.pow(int(p) - 1) if whole else z.pow(p - 1)),
            inflections=(0.0,) if odd else (),
            convex=not odd and not 0 < p < 1,
            turning=(0.0,) if whole and p > 0 and not odd else (),
            limits=limits,
            domain=self._domain(),
        )

    def _domain(self) -> tuple[Domain, ...]:
        if self.whole:
            return (Domain(),) if self.exponent >= 0 else (Domain(0.0, open=True), Domain(end=0.0, open=True))
        return (Domain(0.0, open=self.exponent < 0),)


if not TYPE_CHECKING:  # type checkers see all names, and only read lists of names that are written out
    __all__ = names_in(__name__)
