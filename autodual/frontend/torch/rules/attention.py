"""Lowering of softmax and its logarithm, log-sum-exp, and attention."""

from __future__ import annotations

import math
from typing import Any

import torch

from autodual.frontend.compositions import (
    affine,
    masked_softmax,
    matrix_product,
    reshaped,
    softmax,
    taken,
    total,
    weighted_softmax,
)
from autodual.frontend.constants import apply
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.frontend.torch.rules.branches import truth
from autodual.frontend.torch.rules.shapes import permuted
from autodual.ir import Node
from autodual.ir.ops import ElementwiseAffine, LogSoftmax, LogSumExp

aten = torch.ops.aten


@lowers(aten.softmax.int, aten._softmax.default, any_batch_axis=True)
def lower_softmax(builder: Builder, x: Any, dim: int, *_: Any) -> Node:
    x = builder.node(x)
    return masked_softmax(builder, x, builder.axis(dim, x))


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
        key, value = (_repeated_heads(builder, node, query.shape[-3]) for node in (key, value))
    rank = len(key.shape)
    turned = permuted(builder, key, [*range(rank - 2), rank - 1, rank - 2])
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = matrix_product(builder, affine(builder, query, factor), turned)
    return matrix_product(builder, _attended(builder, scores, mask, causal), value)


def _repeated_heads(builder: Builder, x: Node, heads: int) -> Node:
    """Each head of keys or values for as many heads of queries as share it."""
    axis = len(x.shape) - 3
    share = heads // x.shape[axis]
    return taken(builder, x, axis, [head // share for head in range(heads)])


def _attended(builder: Builder, scores: Node, mask: Any, causal: bool) -> Node:
    """The softmax of the scores under a mask: truth values that keep, or numbers that are added."""
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
