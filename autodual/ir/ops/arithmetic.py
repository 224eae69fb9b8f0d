"""Sums and differences of branches, and elementwise affine functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autodual.ir.expressions import Call, Environment, Expression
from autodual.ir.op import Op


@dataclass(frozen=True, eq=False)
class ElementwiseAffine(Op):
    """x · factor + offset, both broadcast to one sample's shape without changing it (batch norm, normalisation,
    constants).
    """

    factor: Expression | None = None
    offset: Expression | None = None

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        value = inputs[0]
        if self.factor is not None:
            value = value * environment(self.factor)
        if self.offset is not None:
            value = value + environment(self.offset)
        return value

    def deviation(self) -> ElementwiseAffine:
        return self if self.factor is not None else replace(self, factor=Call(torch.zeros, ((),)))


@dataclass(frozen=True, eq=False)
class Add(Op):
    """The sum of two branches of the same shape."""

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0] + inputs[1]


@dataclass(frozen=True, eq=False)
class Subtract(Op):
    """The difference of two branches of the same shape."""

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0] - inputs[1]
