"""What tied operands look like in a graph: softmaxes, vectors over their own norm, means under a softmax.

Each function looks at one node, and returns a node of the same name that says the same with the tie in its op, or None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from autodual.ir import Expression, Graph, Node, Op, ops
from autodual.ir.expressions import literal


def tied(graph: Graph, node: Node, not_negative: Callable[[Expression], bool]) -> Node | None:
    """The node with the tie between its operands in its op; None where its operands are not known to be tied.

    not_negative: whether no entry of a constant is below zero.
    """
    for pattern in (_softmax, partial(_softmax_by_hand, not_negative), _divided_by_norm, _stated, _weighted_mean):
        found = pattern(graph, node)
        if found is not None:
            return found
    return None


# --- softmax ---------------------------------------------------------------------------------------------------------


def _softmax(graph: Graph, node: Node) -> Node | None:
    """exp(log_softmax(x))."""
    before = graph[node.inputs[0]] if isinstance(node.op, ops.Exp) else None
    if before is None or not isinstance(before.op, ops.LogSoftmax):
        return None
    return replace(node, op=ops.Softmax(before.op.axis), inputs=before.inputs)


def _softmax_by_hand(not_negative: Callable[[Expression], bool], graph: Graph, node: Node) -> Node | None:
    """w·eˣ/Σ w·eˣ, written as a product with a reciprocal."""
    for part, inverse in _products(graph, node):
        way = _way_to_sum(graph, inverse, part.shape)
        weights, exponential = _weighted(graph, part)
        if way is None or way.source != part.name or not isinstance(exponential.op, ops.Exp) or len(way.axes) != 1:
            continue
        if weights is not None and not not_negative(weights):
            continue
        if way.quotient == Quotient(power=1.0, inverted=True):
            (axis,), x = way.axes, _without_shift(graph, graph[exponential.inputs[0]], way.axes)
            return replace(node, op=ops.Softmax(axis, weights), inputs=(x.name,))
    return None


def _weighted(graph: Graph, node: Node) -> tuple[Expression | None, Node]:
    """The factor of a node w·y, and y."""
    if isinstance(node.op, ops.ElementwiseAffine) and node.op.offset is None:
        return node.op.factor, graph[node.inputs[0]]
    return None, node


def _without_shift(graph: Graph, x: Node, axes: tuple[int, ...]) -> Node:
    """y where x is y less something that is the same along the axes, which no softmax sees."""
    if not isinstance(x.op, ops.Subtract):
        return x
    shift = _before_expansion(graph, graph[x.inputs[1]], x.shape, axes)
    return x if shift is None else graph[x.inputs[0]]


# --- norms -----------------------------------------------------------------------------------------------------------


def _divided_by_norm(graph: Graph, node: Node) -> Node | None:
    """x times the reciprocal of its own norm."""
    for x, inverse in _products(graph, node):
        way = _way_to_sum(graph, inverse, x.shape)
        if way is None or not (way.quotient.inverted and way.quotient.power == 0.5):
            continue
        squares = graph[way.source]
        if isinstance(squares.op, ops.Power) and squares.op.exponent == 2 and squares.inputs == (x.name,):
            of = way.quotient
            op = ops.DividedByNorm(way.axes, of.share, of.inside, of.floor, of.outside)
            return replace(node, op=op, inputs=(x.name,))
    return None


def _stated(graph: Graph, node: Node) -> Node | None:
    """What is stated of a vector over its norm, which its op knows."""
    before = graph[node.inputs[0]] if isinstance(node.op, ops.Within) else None
    if before is None or not isinstance(before.op, ops.DividedByNorm):
        return None
    most = 1 / math.sqrt(before.op.share)
    if (node.op.lower or 0.0) > -most * (1 - 1e-6) or (node.op.upper or 0.0) < most * (1 - 1e-6):
        return None
    return replace(before, name=node.name, source=node.source)


# --- weighted means --------------------------------------------------------------------------------------------------


def _weighted_mean(graph: Graph, node: Node) -> Node | None:
    """p @ v where p is a softmax along its last axis."""
    if type(node.op) is not ops.MatrixProduct:
        return None
    weights = graph[node.inputs[0]]
    while _keeps_last_axis(graph, weights):
        weights = graph[weights.inputs[0]]
    if not isinstance(weights.op, ops.Softmax) or weights.op.axis != len(weights.shape) - 1:
        return None
    return replace(node, op=ops.WeightedMean())


def _keeps_last_axis(graph: Graph, node: Node) -> bool:
    """Whether the node moves whole rows of the last axis of its operand, none of which changes."""
    if isinstance(node.op, ops.Permute):
        return node.op.order[-1] == len(node.shape) - 1
    same = bool(node.inputs) and graph[node.inputs[0]].shape[-1:] == node.shape[-1:]
    return isinstance(node.op, (ops.Reshape, ops.Expand)) and same


# --- ways from a sum to what multiplies ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quotient:
    """max((share·S + inside)^power, floor) + outside of a sum S that is not negative, or one over that."""

    share: float = 1.0
    inside: float = 0.0
    power: float = 1.0
    floor: float = 0.0
    outside: float = 0.0
    inverted: bool = False

    def after(self, op: Op) -> Quotient | None:
        """After one more op; None where the form has no room for it."""
        if isinstance(op, ops.Power):
            return self._raised(op.exponent)
        if isinstance(op, ops.ElementwiseAffine):
            return self._moved(literal(op.factor, 1.0), literal(op.offset, 0.0))
        if isinstance(op, ops.Clamp) and op.upper is None and op.lower is not None:
            return None if self.inverted or self.outside else replace(self, floor=max(self.floor, op.lower))
        return None

    def _raised(self, exponent: float) -> Quotient | None:
        if self.inverted or (self.outside and exponent != -1):
            return None
        size = abs(exponent)
        if size not in (1.0, 0.5):
            return None
        return replace(self, power=self.power * size, floor=self.floor**size, inverted=exponent < 0)

    def _moved(self, factor: float | None, offset: float | None) -> Quotient | None:
        if factor is None or offset is None or factor <= 0 or offset < 0:
            return None
        if self.inverted:
            return self._scaled(1 / factor) if offset == 0 else None
        scaled = self._scaled(factor)
        if self.power == 1 and self.floor == 0:
            return replace(scaled, inside=scaled.inside + offset)
        return replace(scaled, outside=scaled.outside + offset)

    def _scaled(self, factor: float) -> Quotient:
        root = factor ** (1 / self.power)
        return Quotient(
            self.share * root,
            self.inside * root,
            self.power,
            self.floor * factor,
            self.outside * factor,
            self.inverted,
        )


@dataclass(frozen=True)
class WayToSum:
    """How a node follows from a sum over axes of another one, which it repeats along them."""

    source: str
    axes: tuple[int, ...]
    quotient: Quotient


def _way_to_sum(graph: Graph, node: Node, shape: tuple[int, ...]) -> WayToSum | None:
    """The way to a node of this shape from a sum over some of its axes, if there is one."""
    path: list[Node] = []
    while len(node.inputs) == 1 and not isinstance(node.op, (ops.Sum, ops.Mean)):
        path.append(node)
        node = graph[node.inputs[0]]
    if not isinstance(node.op, (ops.Sum, ops.Mean)) or graph[node.inputs[0]].shape != shape:
        return None
    axes = node.op.axes
    if not _repeats(graph, path, _without(shape, axes), shape):
        return None
    count = math.prod(shape[axis] for axis in axes)
    quotient: Quotient | None = Quotient(share=1 / count if isinstance(node.op, ops.Mean) else 1.0)
    for step in reversed(path):
        if quotient is not None and not isinstance(step.op, (ops.Reshape, ops.Expand)):
            quotient = quotient.after(step.op)
    return None if quotient is None else WayToSum(node.inputs[0], axes, quotient)


def _repeats(graph: Graph, path: list[Node], kept: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a path, from its end, repeats its start along the axes where `kept` has extent 1, and moves nothing."""
    expansions = [node for node in path if isinstance(node.op, ops.Expand)]
    if kept == shape:
        return not expansions
    if len(expansions) != 1 or expansions[0].shape != shape or graph[expansions[0].inputs[0]].shape != kept:
        return False
    # Behind the expansion shapes stay; before it entries keep their order, whatever their shape.
    later = path[: path.index(expansions[0])]
    return not any(isinstance(node.op, ops.Reshape) for node in later)


def _before_expansion(graph: Graph, node: Node, shape: tuple[int, ...], axes: tuple[int, ...]) -> Node | None:
    """What a node repeats along the axes, or None."""
    if isinstance(node.op, ops.Expand) and graph[node.inputs[0]].shape == _without(shape, axes):
        return graph[node.inputs[0]]
    return None


def _without(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with extent 1 at the axes."""
    return tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))


def _products(graph: Graph, node: Node) -> Iterator[tuple[Node, Node]]:
    """Both factors of a product, in either order."""
    if isinstance(node.op, ops.Multiply):
        first, second = (graph[name] for name in node.inputs)
        yield first, second
        yield second, first
