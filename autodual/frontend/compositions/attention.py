"""Softmax and attention, with and without a mask."""

from __future__ import annotations

from collections.abc import Callable

from autodual.frontend.compositions.arithmetic import affine, power, scaled
from autodual.frontend.compositions.emitter import Emitter, Reader
from autodual.frontend.compositions.indexing import taken
from autodual.frontend.compositions.linear import matrix_product
from autodual.frontend.compositions.reductions import summed
from autodual.frontend.compositions.shapes import alike, permuted
from autodual.frontend.constants import apply, mask_weights
from autodual.frontend.construction import Unsupported
from autodual.ir import Expression, Node
from autodual.ir.ops import ElementwiseAffine, Exp, LogSoftmax, Multiply
from autodual.ir.run_formula import ShiftedExponents

#: An entry of a mask below this rules out what it is added to: its exponential is as good as zero.
MASKED_OUT = -100.0


def log_softmax(builder: Emitter, x: Node, axis: int) -> Node:
    """x - log Σeˣ along an axis."""
    return builder.emit(LogSoftmax(axis), x, shape=x.shape)


def softmax(builder: Emitter, x: Node, axis: int) -> Node:
    """eˣ/Σeˣ along an axis, as the exponential of its logarithm: its exponents are never positive."""
    return builder.emit(Exp(), log_softmax(builder, x, axis), shape=x.shape)


def weighted_softmax(builder: Emitter, x: Node, weights: Expression, axis: int, mask: Expression | None = None) -> Node:
    """w·eˣ/Σw·eˣ along an axis for constants w ≥ 0, as under a mask: entries of weight 0 take no part.

    mask: what the weights are the exponentials of, if a run adds that to x.
    """
    terms = scaled(builder, builder.emit(Exp(), x, shape=x.shape), weights)
    share = power(builder, summed(builder, terms, (axis,)), -1)
    formula = ShiftedExponents((x.name,), axis, mask)
    return builder.emit(Multiply(), *alike(builder, terms, share), shape=x.shape, formula=formula)


def masked_softmax(builder: Reader, x: Node, axis: int) -> Node:
    """The softmax of x. Where x is a branch plus a mask m that rules entries out, m enters by the weights eᵐ.

    Both forms are the same function, but the second has no numbers in it that are infinite or as good as infinite.
    """
    mask = x.op.offset if isinstance(x.op, ElementwiseAffine) else None
    if mask is None or not bool((builder.value(mask) < MASKED_OUT).any()):
        return softmax(builder, x, axis)
    assert isinstance(x.op, ElementwiseAffine)
    scores = builder.named(x.inputs[0])
    if x.op.factor is not None:
        scores = builder.emit(ElementwiseAffine(x.op.factor), scores, shape=x.shape)
    weights: Expression = apply(mask_weights, mask, axis - len(x.shape))
    return weighted_softmax(builder, scores, weights, axis, mask)


def dot_product_attention(
    builder: Emitter, query: Node, key: Node, value: Node, scale: float, weigh: Callable[[Node], Node]
) -> Node:
    """weigh(q kᵀ · scale) v in each head; queries `[..., L, E]`, keys `[..., S, E]`, values `[..., S, F]`.

    weigh: makes weights of the scores `[..., L, S]`: their softmax along the last axis, under a mask if there is one.
    """
    rank = len(key.shape)
    turned = permuted(builder, key, [*range(rank - 2), rank - 1, rank - 2])
    scores = matrix_product(builder, affine(builder, query, scale), turned)
    return matrix_product(builder, weigh(scores), value)


def repeated_heads(builder: Emitter, x: Node, heads: int) -> Node:
    """Each head of keys or values `[..., own heads, S, E]` for as many heads of queries as share it."""
    axis = len(x.shape) - 3
    own = x.shape[axis]
    if heads % own:
        raise Unsupported(f"its {heads} heads of queries do not share {own} heads of keys evenly")
    return x if own == heads else taken(builder, x, axis, [head * own // heads for head in range(heads)])
