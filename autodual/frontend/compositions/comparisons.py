"""Truth values as branches of 0 and 1: comparing, combining, and choosing by them."""

from __future__ import annotations

from autodual.frontend.compositions.arithmetic import absolute, affine, difference, maximum, product, total
from autodual.frontend.compositions.emitter import Emitter
from autodual.ir import Node
from autodual.ir.ops import Sign, Step


def positive(builder: Emitter, gap: Node, *, inclusive: bool = False) -> Node:
    """1 where gap > 0 (or ≥ 0, if inclusive), else 0."""
    return builder.emit(Step(inclusive), gap, shape=gap.shape)


def nonzero(builder: Emitter, gap: Node) -> Node:
    """1 where gap ≠ 0, else 0: |sign(gap)|."""
    return absolute(builder, builder.emit(Sign(), gap, shape=gap.shape))


def negation(builder: Emitter, x: Node) -> Node:
    """1 where x is 0, and 0 where x is 1."""
    return affine(builder, x, -1.0, 1.0)


def conjunction(builder: Emitter, x: Node, y: Node) -> Node:
    """1 where both are 1."""
    return product(builder, x, y)


def disjunction(builder: Emitter, x: Node, y: Node) -> Node:
    """1 where one or both are 1."""
    return maximum(builder, x, y)


def exclusive(builder: Emitter, x: Node, y: Node) -> Node:
    """1 where exactly one is 1."""
    return absolute(builder, difference(builder, x, y))


def where(builder: Emitter, condition: Node, x: Node, y: Node) -> Node:
    """x where the condition holds, else y."""
    return total(builder, y, product(builder, condition, difference(builder, x, y)))
