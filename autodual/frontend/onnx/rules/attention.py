"""Rules of attention and of rotary embeddings."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from autodual.frontend import compositions
from autodual.frontend.compositions import affine, masked_softmax, repeated_heads, softmax
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, fixed
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.rules.arithmetic import add, multiply, subtract
from autodual.frontend.onnx.rules.picking import picked_along
from autodual.frontend.onnx.rules.shapes import concatenate, transposed
from autodual.ir import Node
from autodual.ir.ops import ElementwiseAffine, Tanh

_NONE = Attributes(23)


@onnx_op("Attention")
def attention(
    builder: OnnxBuilder, attributes: Attributes, query: Value, key: Value, value: Value, mask: Any = None, *cache: Any
) -> tuple[Branch, ...]:
    """softmax(q kᵀ · scale + mask) v in each head: `[B, heads, L, E]`, or `[B, L, heads · E]`."""
    if any(operand is not None for operand in cache) or any(attributes.results[1:]):
        raise Unsupported("it continues from past keys and values, or hands on its own; export it without a cache")
    flat = len(query.shape) == 3
    heads = attributes.get("q_num_heads"), attributes.get("kv_num_heads")
    q, k, v = (_heads(builder, x, count) for x, count in zip((query, key, value), (heads[0], heads[1], heads[1])))
    k, v = (repeated_heads(builder, node, q.shape[1]) for node in (k, v))
    scale = attributes.get("scale", 1 / math.sqrt(q.shape[-1]))
    weigh = partial(_weights, builder, attributes, mask=mask)
    result = compositions.dot_product_attention(builder, q, k, v, scale, weigh)
    found = builder.branch(result, result.shape)
    if not flat:
        return (found,)
    batch, count, length, width = found.shape
    return (builder.branch(transposed(builder, found, (0, 2, 1, 3)).node, (batch, length, count * width)),)


def _heads(builder: OnnxBuilder, x: Value, count: int | None) -> Node:
    """Queries, keys or values as `[B, heads, L, E]`; `count`: how many heads."""
    if len(x.shape) == 4:
        return builder.full(x)
    if not count or x.shape[2] % count:
        raise Unsupported("it does not say into how many heads its operands are split")
    batch, length, width = x.shape
    split = builder.branch(builder.node(x), (batch, length, count, width // count))
    return builder.full(transposed(builder, split, (0, 2, 1, 3)))


def _weights(builder: OnnxBuilder, attributes: Attributes, scores: Node, mask: Any) -> Node:
    """The softmax of the scores, after a cap or under a mask."""
    axis = len(scores.shape) - 1
    causal, cap = attributes.get("is_causal", 0), attributes.get("softcap", 0.0)
    if cap and (causal or mask is not None):
        raise Unsupported("it caps scores and masks them as well, which runtimes do in different orders")
    if cap:
        return softmax(builder, affine(builder, builder.emit(Tanh(), affine(builder, scores, 1 / cap)), cap), axis)
    if isinstance(mask, Branch):
        if mask.dtype.kind == "b" or causal:
            raise Unsupported("its mask depends on the network's input")
        return softmax(builder, compositions.total(builder, scores, builder.full(mask)), axis)
    added = _added(scores.shape[-2:], None if mask is None else fixed(mask, "mask").array, causal)
    if not added.any():
        return softmax(builder, scores, axis)
    if np.isneginf(added).all(axis=-1).any():
        raise Unsupported("its mask leaves some queries nothing to attend to")
    return masked_softmax(builder, builder.emit(ElementwiseAffine(None, builder.constant(added)), scores), axis)


def _added(extents: tuple[int, ...], mask: np.ndarray | None, causal: bool) -> np.ndarray:
    """A mask as numbers to add to scores: minus infinity where truth values or causality rule an entry out."""
    added = np.zeros(extents)
    if mask is not None:
        added = added + (np.where(mask, 0.0, -np.inf) if mask.dtype.kind == "b" else mask.astype(np.float64))
    return np.where(np.tril(np.ones(extents)), added, -np.inf) if causal else added


@onnx_op("RotaryEmbedding")
def rotary(
    builder: OnnxBuilder, attributes: Attributes, x: Branch, cosines: Value, sines: Value, places: Any = None
) -> Branch:
    """Pairs of entries turned by the angle of their position: exact, since the angles are constants."""
    cos, sin = (fixed(table, "table of angles").array for table in (cosines, sines))
    if places is not None:
        index = fixed(places, "positions").array
        cos, sin = cos[index], sin[index]
    shape, heads = x.shape, attributes.get("num_heads", 0)
    if len(shape) == 3:
        if not heads or shape[2] % heads:
            raise Unsupported("it does not say into how many heads its operand is split")
        x = builder.branch(x.node, (shape[0], shape[1], heads, shape[2] // heads))
    # Angles `[B, L, E/2]`, beside heads before or after the length.
    cos, sin = (np.expand_dims(table, 2 if len(shape) == 3 else 1) for table in (cos, sin))
    width = attributes.get("rotary_embedding_dim", 0) or x.shape[-1]
    entries = list(range(width))
    first, second = (
        (entries[::2], entries[1::2])
        if attributes.get("interleaved", 0)
        else (entries[: width // 2], entries[width // 2 :])
    )
    one, other = (picked_along(builder, x, 3, part) for part in (first, second))
    cosine, sine = (Static(table[..., : width // 2]) for table in (cos, sin))
    turned = (
        subtract(builder, _NONE, multiply(builder, _NONE, one, cosine), multiply(builder, _NONE, other, sine)),
        add(builder, _NONE, multiply(builder, _NONE, one, sine), multiply(builder, _NONE, other, cosine)),
        *([picked_along(builder, x, 3, list(range(width, x.shape[-1])))] if width < x.shape[-1] else []),
    )
    joined = concatenate(builder, Attributes(13, {"axis": 3}), *turned)
    order = [*first, *second, *range(width, x.shape[-1])]
    result = picked_along(builder, joined, 3, [order.index(place) for place in range(x.shape[-1])])
    return builder.branch(result.node, shape)
