"""What a vector over its own norm looks like in a graph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from autodual.ir import Expression, Graph, Node, ops
from autodual.ir.expressions import literal
from autodual.passes.pattern_nodes import Nodes, is_size, new_node, products
from autodual.passes.ways_to_sums import WayToSum, repeats, way_to_sum

Shape = tuple[int, ...]


def divided_by_norm(graph: Graph, node: Node) -> Nodes:
    """x times the reciprocal of its own norm."""
    for x, inverse in products(graph, node):
        way = way_to_sum(graph, inverse, x.shape)
        if way is None or not way.quotient.inverted:
            continue
        if math.prod(way.inverted.shape) != math.prod(way.kept):
            continue  # what is added to the norm is added after it was repeated: no node has it once
        of, order = way.quotient, _order(graph[way.source], x)
        if order is not None and of.power * order == 1:
            return _over_norm(graph, node, x, way, order)
    return ()


def _over_norm(graph: Graph, node: Node, x: Node, way: WayToSum, order: int) -> Nodes:
    """x over its own norm, in place of a node."""
    norm, of = _norm(graph, node, way), way.quotient
    op = ops.DividedByNorm(way.axes, of.share, of.inside, of.floor, of.outside, order)
    return *norm, replace(node, op=op, inputs=(x.name, (norm[-1] if norm else way.inverted).name))


def distributed(graph: Graph, node: Node) -> Nodes:
    """h · i − m · i where i is the reciprocal of the norm of h − m, perhaps with a factor, and plus a constant."""
    for first, second, sign in _differences(graph, node):
        taken = _Taken.of(graph, second, node.shape)
        if taken is None or taken.sign != sign or not isinstance(taken.product.op, ops.Multiply):
            continue
        for (h, inverse), (m, other) in product(products(graph, first), products(graph, taken.product)):
            factor, bare = _factor(graph, inverse)
            way = way_to_sum(graph, bare, node.shape)
            if way is None or not way.quotient.inverted or way.quotient.power != 0.5:
                continue
            centred = graph[graph[way.source].inputs[0]]
            ties = _order(graph[way.source], centred) == 2 and isinstance(centred.op, ops.Subtract)
            if not ties or centred.inputs[0] != h.name or math.prod(way.inverted.shape) != math.prod(way.kept):
                continue
            repeated = _alike(graph, graph[centred.inputs[1]], m, taken.path, way.kept, node.shape)
            same = other.name == inverse.name or (
                factor is None and _alike(graph, bare, other, taken.path, way.kept, node.shape)
            )
            if not (repeated and same):
                continue
            if factor is None and taken.offset is None:
                return _over_norm(graph, node, centred, way, 2)
            found = _over_norm(graph, new_node(graph, node, "centred", node.op, centred), centred, way, 2)
            affine = ops.ElementwiseAffine(factor, taken.offset)
            return *found, replace(node, op=affine, inputs=(found[-1].name,))
    return ()


def _differences(graph: Graph, node: Node) -> Iterator[tuple[Node, Node, float]]:
    """Both terms of a difference, and the sign with which the second is a product."""
    if isinstance(node.op, (ops.Subtract, ops.Add)) and len(node.inputs) == 2:
        first, second = (graph[name] for name in node.inputs)
        subtracts = isinstance(node.op, ops.Subtract)
        yield first, second, 1.0 if subtracts else -1.0
        if not subtracts:
            yield second, first, -1.0


@dataclass(frozen=True)
class _Taken:
    """A node as sign · product + offset, and the nodes on the path from it to the product."""

    product: Node
    sign: float
    offset: Expression | None
    path: list[Node]

    @classmethod
    def of(cls, graph: Graph, node: Node, shape: tuple[int, ...]) -> _Taken | None:
        """An offset may only be added to a sum with the sign 1, where it has the whole shape, or is a number."""
        sign, offset, path = 1.0, None, []
        while isinstance(node.op, (ops.Reshape, ops.Expand, ops.ElementwiseAffine)):
            path.append(node)
            if isinstance(node.op, ops.ElementwiseAffine):
                if node.op.offset is not None:
                    whole = node.shape == shape or literal(node.op.offset, 0.0) is not None
                    if offset is not None or sign != 1 or not whole:
                        return None
                    offset = node.op.offset
                factor = literal(node.op.factor, 1.0)
                if factor is None or abs(factor) != 1:
                    return None
                sign *= factor
            node = graph[node.inputs[0]]
        return None if offset is not None and sign == 1 else cls(node, sign, offset, path)


def _factor(graph: Graph, node: Node) -> tuple[Expression | None, Node]:
    """A constant factor, and what it multiplies."""
    if isinstance(node.op, ops.ElementwiseAffine) and node.op.offset is None:
        return node.op.factor, graph[node.inputs[0]]
    return None, node


def _alike(graph: Graph, one: Node, other: Node, path: list[Node], kept: Shape, shape: Shape) -> bool:
    """Whether two nodes, the other one behind a path, repeat the same node of a shape `kept` to a whole shape."""
    bases = []
    for node, steps in ((one, []), (other, list(path))):
        while isinstance(node.op, (ops.Reshape, ops.Expand)):
            steps.append(node)
            node = graph[node.inputs[0]]
        if not repeats(graph, steps, kept, shape):
            return False
        bases.append(node.name)
    return bases[0] == bases[1]


def _order(powers: Node, x: Node) -> int | None:
    """p where a node is |x|ᵖ of x, for the norms that are known."""
    if powers.inputs != (x.name,):
        return None
    if isinstance(powers.op, ops.Power) and powers.op.exponent == 2:
        return 2
    return 1 if is_size(powers) else None


def _norm(graph: Graph, node: Node, way: WayToSum) -> Nodes:
    """New nodes for the norm, with extent 1 along the axes, where it has none of its own."""
    made: list[Node] = []
    if way.exponent != -1:
        made.append(new_node(graph, node, "norm", ops.Power(-way.exponent), way.inverted))
    if way.inverted.shape != way.kept:
        before = made[-1] if made else way.inverted
        made.append(replace(new_node(graph, node, "norm_kept", ops.Reshape(way.kept), before), shape=way.kept))
    return tuple(made)


def stated(graph: Graph, node: Node) -> Nodes:
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
