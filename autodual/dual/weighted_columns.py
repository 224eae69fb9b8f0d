"""Columns that pass a relaxation: they are multiplied by every sample's slopes, and noise is added."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from autodual.measured import measured


def weighted_columns(weights: Sequence[Tensor], columns: Sequence[Tensor]) -> Tensor:
    """Σ weights[k] · columns[k], `[C, N, *shape]`.

    Columns times samples is far more than fits the processor's caches, and both passes are hardly more than memory
    traffic. So all that is done with a few samples' products is done before the next ones are read, in both passes.
    Differentiable once.

    Args:
        weights: each `[N or 1, *shape]`.
        columns: each `[C, N, *shape]`, or `[C, 1, *shape]` where all samples share them.

    Example:
        >>> import torch
        >>> from autodual.dual.weighted_columns import weighted_columns
        >>> slopes, heights = torch.tensor([[1.0, 0.5], [0.0, 1.0]]), torch.tensor([[0.0, 0.25], [0.0, 0.0]])
        >>> weighted_columns((slopes, heights), (torch.ones(1, 1, 2), torch.full((1, 1, 2), -2.0)))
        tensor([[[1., 0.],
                 [0., 1.]]])
    """
    samples = max(one.shape[axis] for axis, group in enumerate((weights, columns)) for one in group)
    whole = [weight.expand(samples, *weight.shape[1:]) for weight in weights]
    return _WeightedColumns.apply(len(whole), *whole, *columns)


class _WeightedColumns(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Tensor) -> Tensor:
        ctx.count = count
        ctx.save_for_backward(*tensors)
        weights, columns = tensors[:count], tensors[count:]
        total = torch.empty_like(weights[0].expand(columns[0].shape[0], *weights[0].shape))
        for some in _blocks(total):
            part = total[:, some]
            torch.mul(_of(columns[0], some), weights[0][some], out=part)
            for weight, column in zip(weights[1:], columns[1:], strict=True):
                part.addcmul_(_of(column, some), weight[some])
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (gradient,), count, needed = gradients, ctx.count, ctx.needs_input_grad[1:]
        weights, columns = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        found: list[Tensor | None] = [
            torch.zeros_like(one) if need else None for one, need in zip(ctx.saved_tensors, needed)
        ]
        # A fully connected layer behind images channels-last flattens them, and its gradients lie in that order.
        alike = gradient.stride()[2:] == weights[0].stride()[1:]
        products = own = gradient.new_empty(0)
        for some in _blocks(gradient):
            part = gradient[:, some]
            if products.shape != part.shape:
                products, own = (torch.empty_like(weights[0][some].expand_as(part)) for _ in range(2))
            if not alike:
                part = own.copy_(part)
            for k in range(count):
                of_weight, of_column = found[k], found[count + k]
                if of_weight is not None:
                    torch.mul(part, _of(columns[k], some), out=products)
                    torch.sum(products, 0, out=of_weight[some])
                if of_column is None:
                    continue
                if of_column.shape[1] > 1:
                    torch.mul(part, weights[k][some], out=of_column[:, some])
                elif part.shape[1] == 1:
                    of_column.addcmul_(part, weights[k][some])
                else:
                    torch.mul(part, weights[k][some], out=products)
                    of_column.add_(products.sum(1, keepdim=True))
        return None, *found


def _of(columns: Tensor, samples: slice) -> Tensor:
    return columns[:, samples] if columns.shape[1] > 1 else columns


def _blocks(products: Tensor) -> Iterator[slice]:
    """Slices of the samples of products `[C, N, *shape]`; all at once on a GPU."""
    samples = products.shape[1]
    most = samples
    if products.device.type == "cpu":
        most = max(1, measured.weighted_numbers * samples // max(1, products.numel()))
    for start in range(0, samples, most):
        yield slice(start, min(start + most, samples))
