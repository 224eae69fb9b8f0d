"""Lowering of sums and means over axes of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import torch

from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.ir import Node
from autodual.ir.ops import Mean, Sum

aten = torch.ops.aten


@lowers(aten.mean.dim, any_batch_axis=True)
def mean(builder: Builder, x: Any, dims: Sequence[int] | None, keepdim: bool, dtype: Any) -> Node:
    x = builder.node(x)
    return builder.emit(Mean(_axes(builder, x, dims), keepdim), x)


@lowers(aten.sum.dim_IntList, any_batch_axis=True)
def total(builder: Builder, x: Any, dims: Sequence[int] | None, keepdim: bool, dtype: Any) -> Node:
    x = builder.node(x)
    return builder.emit(Sum(_axes(builder, x, dims), keepdim), x)


@lowers(aten.mean.default, aten.sum.default, any_batch_axis=True)
def over_everything(builder: Builder, *_: Any) -> NoReturn:
    builder.mixing("reduces over all axes, the batch axis included")


def _axes(builder: Builder, x: Node, dims: Sequence[int] | None) -> tuple[int, ...]:
    """torch takes an empty list for all axes, the batch axis included."""
    if not dims:
        over_everything(builder)
    return tuple(sorted({builder.axis(dim, x) for dim in dims}))
