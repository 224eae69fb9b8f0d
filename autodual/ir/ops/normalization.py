"""Vectors divided by their own size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.ir.expressions import Environment
from autodual.ir.op import Op


@dataclass(frozen=True, eq=False)
class DividedByNorm(Op):
    """x/d where d is known to be max(√(share·Σx² + inside), floor) + outside, the sum over some axes of a sample, which
    keep extent 1 in d: normalised vectors, RMS and layer norms. Of order 1 it is max(share·Σ|x| + inside, floor) +
    outside.
    """

    axes: tuple[int, ...]
    share: float = 1.0
    inside: float = 0.0
    floor: float = 0.0
    outside: float = 0.0
    order: int = 2

    @property
    def most(self) -> float:
        """No |x| is more than so many times d."""
        return float(self.share ** (-1 / self.order))

    def powers(self, x: Tensor) -> Tensor:
        """|x|ᵖ of `x`, which are summed."""
        return x.square() if self.order == 2 else x.abs()

    def root(self, powers: Tensor) -> Tensor:
        """max((share·`powers` + inside)^(1/p), floor) of a sum, with a gradient of 0 where it is 0."""
        inside = self.share * powers + self.inside
        if self.order == 2:
            inside = torch.where(inside > 0, torch.where(inside > 0, inside, 1.0).sqrt(), inside)
        return inside.clamp(min=self.floor)

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0] / inputs[1]

    def tied(self, inputs: Sequence[Tensor], environment: Environment) -> Sequence[Tensor]:
        powers = self.powers(inputs[0]).sum(tuple(axis + 1 for axis in self.axes), keepdim=True)
        size = self.root(powers) + self.outside
        return [inputs[0], size]
