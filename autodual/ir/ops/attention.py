"""Weights that sum to one, and means under such weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from autodual.ir.expressions import Environment, Expression
from autodual.ir.op import Op
from autodual.ir.ops.branches import MatrixProduct
from autodual.ir.ops.optional import optional


@dataclass(frozen=True, eq=False)
class Softmax(Op):
    """w·eˣ/Σw·eˣ along one axis of a sample, for constants w ≥ 0 that broadcast to it; without them all are 1."""

    axis: int
    weights: Expression | None = None

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        (x,), weights = inputs, optional(self.weights, environment)
        if weights is None:
            return x.softmax(self.axis + 1)
        return (x + weights.log()).softmax(self.axis + 1)

    def keeps_order(self, shape: Sequence[int]) -> bool:
        return self.weights is None and all(extent == 1 for axis, extent in enumerate(shape) if axis != self.axis)


@dataclass(frozen=True, eq=False)
class NormalizedExp(Op):
    """eᶻ for logarithms z whose exponentials are known to sum to one along an axis, as those of a log-softmax do."""

    axis: int

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0].exp()

    def keeps_order(self, shape: Sequence[int]) -> bool:
        return True

    def tied(self, inputs: Sequence[Tensor], environment: Environment) -> Sequence[Tensor]:
        return [inputs[0].log_softmax(self.axis + 1)]


@dataclass(frozen=True, eq=False)
class WeightedMean(MatrixProduct):
    """x @ y where the entries of each row of x are known to be non-negative and to sum to one, as a softmax's are."""

    def tied(self, inputs: Sequence[Tensor], environment: Environment) -> Sequence[Tensor]:
        return [inputs[0].softmax(-1), inputs[1]]
