"""Lowering of sums and means over axes of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import torch

from autodual.frontend import compositions
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.ir import Node

aten = torch.ops.aten


@lowers(aten.mean.dim, any_batch_axis=True)
def mean(builder: Builder, x: Any, dims: Sequence[int] | None, keepdim: bool, dtype: Any) -> Node:
    x = builder.node(x)
    return compositions.mean(builder, x, reduced_axes(builder, x, dims), keepdim=keepdim)


@lowers(aten.sum.dim_IntList, any_batch_axis=True)
def total(builder: Builder, x: Any, dims: Sequence[int] | None, keepdim: bool, dtype: Any) -> Node:
    x = builder.node(x)
    return compositions.summed(builder, x, reduced_axes(builder, x, dims), keepdim=keepdim)


@lowers(
    aten.mean.default,
    aten.sum.default,
    aten.var.default,
    aten.std.default,
    aten.prod.default,
    aten.max.default,
    aten.min.default,
    any_batch_axis=True,
)
def over_everything(builder: Builder, *_: Any) -> NoReturn:
    builder.mixing("reduces over all axes, the batch axis included")


def reduced_axes(builder: Builder, x: Node, dims: int | Sequence[int] | None) -> list[int]:
    """One sample's axes, sorted; refused if there are none, which to torch means all, the batch axis included."""
    listed = [dims] if isinstance(dims, int) else dims
    if not listed:
        over_everything(builder)
    return sorted({builder.axis(dim, x) for dim in listed})
