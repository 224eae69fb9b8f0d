"""Nonlinear functions of several scalars, from one branch or from several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from autodual.ir.expressions import Environment
from autodual.ir.op import Op


@dataclass(frozen=True, eq=False)
class Multiply(Op):
    """The elementwise product of two branches of the same shape."""

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0] * inputs[1]


@dataclass(frozen=True, eq=False)
class MatrixProduct(Op):
    """x @ y of two branches `[..., n, k]` and `[..., k, m]` with the same leading axes (attention)."""

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0] @ inputs[1]


@dataclass(frozen=True, eq=False)
class Maximum(Op):
    """The elementwise maximum of two or more branches of the same shape (max-pooling: one branch per offset)."""

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return reduce(torch.maximum, inputs)


@dataclass(frozen=True, eq=False)
class LogSoftmax(Op):
    """x - log Σ eˣ along one axis of a sample."""

    axis: int

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0].log_softmax(self.axis + 1)

    def keeps_order(self, shape: Sequence[int]) -> bool:
        return all(extent == 1 for axis, extent in enumerate(shape) if axis != self.axis)


@dataclass(frozen=True, eq=False)
class LogSumExp(Op):
    """log Σ eˣ along one axis of a sample, which stays with extent 1."""

    axis: int

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0].logsumexp(self.axis + 1, keepdim=True)
