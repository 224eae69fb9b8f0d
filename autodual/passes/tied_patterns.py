"""What tied operands look like in a graph: softmaxes, vectors over their own norm, means under a softmax.

Each pattern looks at one node, and returns nodes that say the same with the tie in their ops, or none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from autodual.ir import Expression, Graph, Node, Op, ops
from autodual.ir.expressions import is_number
from autodual.passes.ways_to_sums import Quotient, WayToSum, repeats, way_to_sum, without

#: Nodes in place of one: the last has its name, those before are new.
Nodes = tuple[Node, ...]


def tied(graph: Graph, node: Node, not_negative: Callable[[Expression], bool]) -> Nodes:
    """Nodes with the tie between a node's operands in their ops; none where its operands are not known to be tied.

    not_negative: whether no entry of a constant is below zero.
    """
    patterns = (
        _square,
        _log_sum_exp,
        _log_softmax,
        _softmax,
        partial(_softmax_by_hand, not_negative),
        _divided_by_norm,
        _stated,
        _weighted_mean,
    )
    for pattern in patterns:
        found = pattern(graph, node)
        if found:
            return found
    return ()


def _square(graph: Graph, node: Node) -> Nodes:
    """x · x, and |x| to an even power."""
    if isinstance(node.op, ops.Multiply) and node.inputs[0] == node.inputs[1]:
        return (replace(node, op=ops.Power(2.0), inputs=node.inputs[:1]),)
    if isinstance(node.op, ops.Power) and node.op.exponent % 2 == 0:
        before = graph[node.inputs[0]]
        return (replace(node, inputs=before.inputs),) if _is_size(before) else ()
    return ()


def _is_size(node: Node) -> bool:
    """Whether a node is |x| of its operand."""
    return isinstance(node.op, ops.LeakyRelu) and is_number(node.op.slope, -1)


# --- softmax ---------------------------------------------------------------------------------------------------------


def _log_sum_exp(graph: Graph, node: Node) -> Nodes:
    """log Σ eˣ along one axis."""
    if not isinstance(node.op, ops.Log):
        return ()
    total = graph[node.inputs[0]]
    if not isinstance(total.op, ops.Sum) or len(total.op.axes) != 1:
        return ()
    exponential, (axis,) = graph[total.inputs[0]], total.op.axes
    if not isinstance(exponential.op, ops.Exp):
        return ()
    x = graph[exponential.inputs[0]]
    found = replace(_new(graph, node, "kept", ops.LogSumExp(axis), x), shape=without(x.shape, (axis,)))
    if node.shape == found.shape:
        return (replace(found, name=node.name),)
    return found, replace(node, op=ops.Reshape(node.shape), inputs=(found.name,))


def _log_softmax(graph: Graph, node: Node) -> Nodes:
    """x less its own log Σ eˣ."""
    if not isinstance(node.op, ops.Subtract):
        return ()
    x, total = (graph[name] for name in node.inputs)
    path = []
    while isinstance(total.op, (ops.Reshape, ops.Expand)):
        path.append(total)
        total = graph[total.inputs[0]]
    if not isinstance(total.op, ops.LogSumExp) or total.inputs != (x.name,):
        return ()
    if not repeats(graph, path, total.shape, x.shape):
        return ()
    return (replace(node, op=ops.LogSoftmax(total.op.axis), inputs=(x.name,)),)


def _softmax(graph: Graph, node: Node) -> Nodes:
    """exp(log_softmax(x))."""
    before = graph[node.inputs[0]] if isinstance(node.op, ops.Exp) else None
    if before is None or not isinstance(before.op, ops.LogSoftmax):
        return ()
    return (replace(node, op=ops.NormalizedExp(before.op.axis)),)


def _softmax_by_hand(not_negative: Callable[[Expression], bool], graph: Graph, node: Node) -> Nodes:
    """w·eˣ/Σ w·eˣ, written as a product with a reciprocal."""
    for part, inverse in _products(graph, node):
        way = way_to_sum(graph, inverse, part.shape)
        weights, exponential = _weighted(graph, part)
        if way is None or way.source != part.name or not isinstance(exponential.op, ops.Exp) or len(way.axes) != 1:
            continue
        if way.quotient != Quotient(inverted=True):
            continue
        (axis,), x = way.axes, _without_shift(graph, graph[exponential.inputs[0]], way.axes)
        if weights is None:
            logarithms = _new(graph, node, "logarithms", ops.LogSoftmax(axis), x)
            return logarithms, replace(node, op=ops.NormalizedExp(axis), inputs=(logarithms.name,))
        if not_negative(weights):
            return (replace(node, op=ops.Softmax(axis, weights), inputs=(x.name,)),)
    return ()


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


def _divided_by_norm(graph: Graph, node: Node) -> Nodes:
    """x times the reciprocal of its own norm."""
    for x, inverse in _products(graph, node):
        way = way_to_sum(graph, inverse, x.shape)
        if way is None or not way.quotient.inverted:
            continue
        if math.prod(way.inverted.shape) != math.prod(way.kept):
            continue  # what is added to the norm is added after it was repeated: no node has it once
        of, order = way.quotient, _order(graph[way.source], x)
        if order is not None and of.power * order == 1:
            norm = _norm(graph, node, way)
            op = ops.DividedByNorm(way.axes, of.share, of.inside, of.floor, of.outside, order)
            return *norm, replace(node, op=op, inputs=(x.name, (norm[-1] if norm else way.inverted).name))
    return ()


def _order(powers: Node, x: Node) -> int | None:
    """p where a node is |x|ᵖ of x, for the norms that are known."""
    if powers.inputs != (x.name,):
        return None
    if isinstance(powers.op, ops.Power) and powers.op.exponent == 2:
        return 2
    return 1 if _is_size(powers) else None


def _norm(graph: Graph, node: Node, way: WayToSum) -> Nodes:
    """New nodes for the norm, with extent 1 along the axes, where it has none of its own."""
    made: list[Node] = []
    if way.exponent != -1:
        made.append(_new(graph, node, "norm", ops.Power(-way.exponent), way.inverted))
    if way.inverted.shape != way.kept:
        before = made[-1] if made else way.inverted
        made.append(replace(_new(graph, node, "norm_kept", ops.Reshape(way.kept), before), shape=way.kept))
    return tuple(made)


def _new(graph: Graph, node: Node, what: str, op: Op, operand: Node) -> Node:
    """A node with a name of its own, for what another one consists of; its shape is its operand's."""
    name = f"{node.name}_{what}"
    while name in graph.by_name:
        name += "_"
    return Node(name, op, (operand.name,), operand.shape, node.source)


def _stated(graph: Graph, node: Node) -> Nodes:
    """What is stated of a vector over its norm, which its op knows."""
    if not isinstance(node.op, ops.Within):
        return ()
    before = graph[node.inputs[0]]
    if not isinstance(before.op, ops.DividedByNorm):
        return ()
    most, (low, high) = (1 - 1e-6) * before.op.most, (node.op.lower, node.op.upper)
    if (low is not None and low > -most) or (high is not None and high < most):
        return ()
    return (replace(before, name=node.name, source=node.source),)


# --- weighted means --------------------------------------------------------------------------------------------------


def _weighted_mean(graph: Graph, node: Node) -> Nodes:
    """p @ v where p is a softmax along its last axis."""
    if type(node.op) is not ops.MatrixProduct:
        return ()
    weights = graph[node.inputs[0]]
    while _keeps_last_axis(graph, weights):
        weights = graph[weights.inputs[0]]
    op = weights.op
    if not isinstance(op, (ops.Softmax, ops.NormalizedExp)) or op.axis != len(weights.shape) - 1:
        return ()
    return (replace(node, op=ops.WeightedMean()),)


def _keeps_last_axis(graph: Graph, node: Node) -> bool:
    """Whether the node moves whole rows of the last axis of its operand, none of which changes."""
    if isinstance(node.op, ops.Permute):
        return node.op.order[-1] == len(node.shape) - 1
    same = bool(node.inputs) and graph[node.inputs[0]].shape[-1:] == node.shape[-1:]
    return isinstance(node.op, (ops.Reshape, ops.Expand)) and same


def _before_expansion(graph: Graph, node: Node, shape: tuple[int, ...], axes: tuple[int, ...]) -> Node | None:
    """What a node repeats along the axes, or None."""
    if isinstance(node.op, ops.Expand) and graph[node.inputs[0]].shape == without(shape, axes):
        return graph[node.inputs[0]]
    return None


def _products(graph: Graph, node: Node) -> Iterator[tuple[Node, Node]]:
    """Both factors of a product, in either order."""
    if isinstance(node.op, ops.Multiply):
        first, second = (graph[name] for name in node.inputs)
        yield first, second
        yield second, first
