"""Values of an op with the gradients of another function, for searches by gradients where the op has none."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def with_gradient_of(value: Tensor, stand_in: Tensor) -> Tensor:
    """`value`, exactly, whose gradient is that of `stand_in`.

    Args:
        value: of any shape.
        stand_in: of the same shape.

    Example:
        >>> import torch
        >>> from autodual.ir.surrogates import with_gradient_of
        >>> x = torch.tensor([0.3, -2.0], requires_grad=True)
        >>> found = with_gradient_of(x.sign(), 2 * x)
        >>> found.detach(), torch.autograd.grad(found.sum(), x)[0]
        (tensor([ 1., -1.]), tensor([2., 2.]))
    """
    return _StraightThrough.apply(value, stand_in)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, stand_in: Tensor) -> Tensor:
        if value.shape != stand_in.shape:
            raise ValueError(f"a surrogate has the shape {list(stand_in.shape)}, the op {list(value.shape)}")
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, gradient
