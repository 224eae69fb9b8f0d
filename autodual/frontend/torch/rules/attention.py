"""Lowering of softmax and its logarithm, log-sum-exp, and attention."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch

from autodual.frontend import compositions
from autodual.frontend.compositions import (
    masked_softmax,
    repeated_heads,
    softmax,
    total,
    weighted_softmax,
)
from autodual.frontend.constants import apply
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.frontend.torch.rules.comparisons import truth
from autodual.ir import Node
from autodual.ir.ops import ElementwiseAffine

aten = torch.ops.aten


@lowers(aten.softmax.int, aten._softmax.default, any_batch_axis=True)
def lower_softmax(builder: Builder, x: Any, dim: int, *_: Any) -> Node:
    x = builder.node(x)
    return masked_softmax(builder, x, builder.axis(dim, x))


@lowers(aten.log_softmax.int, aten._log_softmax.default, any_batch_axis=True)
def log_softmax(builder: Builder, x: Any, dim: int, *_: Any) -> Node:
    x = builder.node(x)
    return compositions.log_softmax(builder, x, builder.axis(dim, x))


@lowers(aten.logsumexp.default, any_batch_axis=True)
def log_sum_exp(builder: Builder, x: Any, dims: Any, keepdim: bool) -> Node:
    x = builder.node(x)
    axes = sorted({builder.axis(dim, x) for dim in ([dims] if isinstance(dims, int) else dims)})
    return compositions.log_sum_exp(builder, x, axes, keepdim=keepdim)


@lowers(aten.scaled_dot_product_attention.default, any_batch_axis=True)
def attention(
    builder: Builder,
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    dropout: float,
    causal: bool,
    scale: float | None,
    grouped: bool,
) -> Node:
    """softmax(q kᵀ · scale + mask) v in each head; queries `[..., L, E]`, keys `[..., S, E]`, values `[..., S, F]`."""
    if dropout:
        raise Unsupported("dropout is active: pass dropout_p=0.0 in evaluation mode")
    query, key, value = (builder.node(operand) for operand in (query, key, value))
    operands = (query, key, value)
    if len({len(node.shape) for node in operands}) > 1 or any(builder.is_batch_axis(-2, node) for node in operands):
        builder.mixing("attends along the batch axis")
    if grouped:
        key, value = (repeated_heads(builder, node, query.shape[-3]) for node in (key, value))
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    weigh = partial(_attended, builder, mask=mask, causal=causal)
    return compositions.dot_product_attention(builder, query, key, value, factor, weigh)


def _attended(builder: Builder, scores: Node, mask: Any, causal: bool) -> Node:
    """The softmax of the scores under a mask: truth values say what is kept, numbers are added."""
    axis = len(scores.shape) - 1
    if causal:
        keep = apply(torch.tril, apply(torch.ones, scores.shape[-2:]))
        return weighted_softmax(builder, scores, keep, axis)
    if mask is None:
        return softmax(builder, scores, axis)
    truths = any(fake.dtype is torch.bool for fake in builder.operands[1:])
    if isinstance(mask, Node):
        if truths:
            raise Unsupported("its mask depends on the input")
        return softmax(builder, total(builder, scores, mask), axis)
    if truths:
        return weighted_softmax(builder, scores, apply(truth, builder.beside(mask, scores)), axis)
    added = ElementwiseAffine(None, builder.beside(mask, scores))
    return masked_softmax(builder, builder.emit(added, scores, shape=scores.shape), axis)
