"""Vectors divided by their own size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from autodual.ir.expressions import Environment
from autodual.ir.op import Op


@dataclass(frozen=True, eq=False)
class DividedByNorm(Op):
    """x/d where d is known to be max(√(share·Σx² + inside), floor) + outside, the sum over some axes of a sample, which
    keep extent 1 in d: normalised vectors, RMS and layer norms.
    """

    axes: tuple[int, ...]
    share: float = 1.0
    inside: float = 0.0
    floor: float = 0.0
    outside: float = 0.0

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0] / inputs[1]

    def tied(self, inputs: Sequence[Tensor], environment: Environment) -> Sequence[Tensor]:
        squares = inputs[0].square().sum(tuple(axis + 1 for axis in self.axes), keepdim=True)
        size = (self.share * squares + self.inside).sqrt().clamp(min=self.floor) + self.outside
        return [inputs[0], size]
