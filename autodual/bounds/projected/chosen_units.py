"""Some units of a node, taken out of its columns: estimates are only wanted of few."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def chosen_units(columns: Tensor, wanted: Tensor) -> Tensor:
    """The products of some units, `[C, K]`, in the order of `wanted.nonzero()`.

    Args:
        columns: `[C, N or 1, *shape]`.
        wanted: `[N, *shape]`, of which K are true.
    """
    return _ChosenUnits.apply(columns.expand(-1, *wanted.shape), wanted)


def put_back(values: Tensor, wanted: Tensor) -> Tensor:
    """Values `[K]` or `[]` of the wanted units where these are, `[N, *shape]`, and zero elsewhere."""
    return torch.zeros_like(wanted, dtype=values.dtype).index_put(wanted.nonzero(as_tuple=True), values)


class _ChosenUnits(torch.autograd.Function):
    """Works on columns as they lie in memory, so that one number says where a unit is in each: indexing by a number for
    each axis takes ten times as long. No unit is chosen twice, so that gradients are put back rather than added up.
    """

    @staticmethod
    def forward(ctx: Any, columns: Tensor, wanted: Tensor) -> Tensor:
        columns = columns if _fills_memory(columns) else columns.contiguous()
        ctx.shape, ctx.strides = columns.shape, columns.stride()
        ctx.units = sum(place * step for place, step in zip(wanted.nonzero(as_tuple=True), ctx.strides[1:]))
        return _as_matrix(columns).index_select(1, ctx.units)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        whole = gradient.new_zeros(ctx.shape[0], ctx.strides[0]).index_copy_(1, ctx.units, gradient)
        return whole.as_strided(ctx.shape, ctx.strides), None


def _fills_memory(columns: Tensor) -> bool:
    """Whether columns lie one after another, without gaps and without numbers in common."""
    size = columns[0].numel()
    reach = sum((extent - 1) * step for extent, step in zip(columns.shape[1:], columns.stride()[1:]))
    shared = any(extent > 1 and step == 0 for extent, step in zip(columns.shape, columns.stride()))
    return columns.stride(0) == size == reach + 1 and not shared


def _as_matrix(columns: Tensor) -> Tensor:
    return columns.as_strided((columns.shape[0], columns.stride(0)), (columns.stride(0), 1))
