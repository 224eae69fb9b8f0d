"""Ops with weights: fully connected layers and convolutions."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from autodual.ir.expressions import Environment, Expression
from autodual.ir.op import Op
from autodual.ir.ops.optional import optional

_TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


@dataclass(frozen=True, eq=False)
class Linear(Op):
    """x @ weightᵀ + bias over the last axis; weight `[out, in]`, bias `[out]`."""

    weight: Expression
    bias: Expression | None = None

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return functional.linear(inputs[0], environment(self.weight), optional(self.bias, environment))


@dataclass(frozen=True, eq=False)
class Convolution(Op):
    """A convolution over 1, 2 or 3 spatial axes (as many as `stride` has entries), zero padded by `padding` on both
    sides.
    """

    weight: Expression
    bias: Expression | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return self.convolve(inputs[0], environment(self.weight), optional(self.bias, environment))

    def convolve(self, value: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution of a batch `value` with another `weight` of the same shape, and `bias` or None."""
        run = _CONVOLUTIONS[len(self.stride)]
        return run(value, weight, bias, self.stride, self.padding, self.dilation, self.groups)


@dataclass(frozen=True, eq=False)
class TransposedConvolution(Op):
    """The transpose of a convolution over 1, 2 or 3 spatial axes; weight `[in, out/groups, *kernel]`, bias `[out]`."""

    weight: Expression
    bias: Expression | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return self.convolve(inputs[0], environment(self.weight), optional(self.bias, environment))

    def convolve(self, value: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The transposed convolution of a batch `value` with another `weight` of the same shape, and `bias` or None."""
        run = _TRANSPOSED[len(self.stride)]
        return run(value, weight, bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation)

    def transpose(self, value: Tensor, weight: Tensor) -> Tensor:
        """The adjoint of `convolve`, on a batch `value`, with a `weight` of the same shape: a plain convolution.

        Output padding of a stride or more may leave it larger than the op's input.
        """
        run = _CONVOLUTIONS[len(self.stride)]
        return run(value, weight, None, self.stride, self.padding, self.dilation, self.groups)


@dataclass(frozen=True, eq=False)
class Contraction(Op):
    """An einsum of one sample with a constant; `equation` is that of one sample, as in 'tc,cd->td'.

    It covers products with constant matrices on either side and along any axes.
    """

    equation: str
    constant: Expression

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return self.contract(inputs[0], environment(self.constant))

    def contract(self, value: Tensor, constant: Tensor) -> Tensor:
        """The einsum of a batch `value` `[N, *shape]` with another `constant` of the same shape."""
        terms, result = self.equation.split("->")
        first, second = terms.split(",")
        batch = next(letter for letter in string.ascii_letters if letter not in self.equation)
        return torch.einsum(f"{batch}{first},{second}->{batch}{result}", value, constant)
