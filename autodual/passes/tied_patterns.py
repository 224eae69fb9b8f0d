"""What tied operands look like in a graph: softmaxes, vectors over their own norm, means under a softmax.

Each pattern looks at one node, and returns nodes that say the same with the tie in their ops, or none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from autodual.ir import Expression, Graph, Node, ops
from autodual.passes.pattern_nodes import Nodes, is_size, new_node, products
from autodual.passes.tied_norms import distributed, divided_by_norm, stated
from autodual.passes.ways_to_sums import Quotient, repeats, way_to_sum, without


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
        divided_by_norm,
        distributed,
        stated,
        _weighted_mean,
        _mean_by_hand,
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
        return (replace(node, inputs=before.inputs),) if is_size(before) else ()
    return ()


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
    found = replace(new_node(graph, node, "kept", ops.LogSumExp(axis), x), shape=without(x.shape, (axis,)))
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
    for part, inverse in products(graph, node):
        way = way_to_sum(graph, inverse, part.shape)
        weights, exponential = _weighted(graph, part)
        if way is None or way.source != part.name or not isinstance(exponential.op, ops.Exp) or len(way.axes) != 1:
            continue
        if way.quotient != Quotient(inverted=True):
            continue
        (axis,), x = way.axes, _without_shift(graph, graph[exponential.inputs[0]], way.axes)
        if weights is None:
            logarithms = new_node(graph, node, "logarithms", ops.LogSoftmax(axis), x)
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


def _mean_by_hand(graph: Graph, node: Node) -> Nodes:
    """(e @ v) / Σ e where e is an exponential: the mean of v under a softmax."""
    for part, inverse in products(graph, node):
        mean = _before_reshaping(graph, part)
        linear = isinstance(mean.op, ops.Linear) and mean.op.bias is None
        if not (linear or type(mean.op) is ops.MatrixProduct):
            continue
        first = graph[mean.inputs[0]]
        exponential = _before_reshaping(graph, first)
        way = way_to_sum(graph, inverse, node.shape, exponential.shape)
        if way is None or way.source != exponential.name or not isinstance(exponential.op, ops.Exp):
            continue
        last = len(exponential.shape) - 1
        if way.axes != (last,) or way.quotient != Quotient(inverted=True):
            continue
        x = _without_shift(graph, graph[exponential.inputs[0]], way.axes)
        made = [new_node(graph, node, "logarithms", ops.LogSoftmax(last), x)]
        made.append(new_node(graph, node, "weights", ops.NormalizedExp(last), made[-1]))
        if first.shape != exponential.shape:
            reshaped = new_node(graph, node, "rows", ops.Reshape(first.shape), made[-1])
            made.append(replace(reshaped, shape=first.shape))
        op, operands = mean.op if linear else ops.WeightedMean(), (made[-1].name, *mean.inputs[1:])
        if mean.shape == node.shape:
            return *made, replace(node, op=op, inputs=operands)
        made.append(replace(new_node(graph, node, "mean", op, mean), inputs=operands))
        return *made, replace(node, op=ops.Reshape(node.shape), inputs=(made[-1].name,))
    return ()


def _before_reshaping(graph: Graph, node: Node) -> Node:
    """The node whose rows of the last axis these are, in the same order."""
    while isinstance(node.op, ops.Reshape) and graph[node.inputs[0]].shape[-1:] == node.shape[-1:]:
        node = graph[node.inputs[0]]
    return node


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
