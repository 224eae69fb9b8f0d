"""Conversions to narrower types, and remainders: elementwise functions that are affine between jumps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.ir.expressions import Environment, Expression
from autodual.ir.op import Op
from autodual.ir.scalars.scalar_ops import ElementwiseOp


@dataclass(frozen=True, eq=False)
class Cast(ElementwiseOp):
    """The nearest number of a narrower floating type, ties to even; infinite beyond its largest number."""

    continuous = False

    to: torch.dtype

    @property
    def narrows(self) -> torch.dtype:
        return self.to

    def function(self, x: Tensor) -> Tensor:
        return x.to(self.to).to(x.dtype)


@dataclass(frozen=True, eq=False)
class Remainder(Op):
    """The remainder of x by a divisor other than 0: x - divisor · ⌊x/divisor⌋, which has the divisor's sign.

    With `truncated` the quotient is rounded towards zero, so that the remainder has the sign of x. The divisor
    broadcasts to one sample.
    """

    continuous = False

    divisor: Expression
    truncated: bool = False

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        remainder = torch.fmod if self.truncated else torch.remainder
        return remainder(inputs[0], environment(self.divisor))
