"""Lowering of softmax and its logarithm, log-sum-exp, and attention."""

from __future__ import annotations

from typing import Any

import torch

from autodual.frontend.builder import Builder
from autodual.frontend.compositions import reshaped, softmax
from autodual.frontend.registry import lowers
from autodual.ir import Node
from autodual.ir.ops import LogSoftmax, LogSumExp

aten = torch.ops.aten


@lowers(aten.softmax.int, aten._softmax.default, any_batch_axis=True)
def lower_softmax(builder: Builder, x: Any, dim: int, *_: Any) -> Node:
    x = builder.node(x)
    return softmax(builder, x, builder.axis(dim, x))


@lowers(aten.log_softmax.int, aten._log_softmax.default, any_batch_axis=True)
def log_softmax(builder: Builder, x: Any, dim: int, *_: Any) -> Node:
    x = builder.node(x)
    return builder.emit(LogSoftmax(builder.axis(dim, x)), x)


@lowers(aten.logsumexp.default, any_batch_axis=True)
def log_sum_exp(builder: Builder, x: Any, dims: Any, keepdim: bool) -> Node:
    """Over one axis after the other: the logarithm of a sum of sums."""
    x = builder.node(x)
    axes = sorted({builder.axis(dim, x) for dim in ([dims] if isinstance(dims, int) else dims)})
    for axis in axes:
        shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        x = builder.emit(LogSumExp(axis), x, shape=shape)
    return x if keepdim else reshaped(builder, x, [e for at, e in enumerate(x.shape) if at not in axes])
