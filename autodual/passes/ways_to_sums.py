"""Ways from a sum to what multiplies its terms: norms, their reciprocals, and what comes between.

The sum is of numbers that are not negative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from autodual.ir import Graph, Node, Op, ops
from autodual.ir.expressions import literal


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
        """After a power. Where something was added outside, only the reciprocal still has this form."""
        if self.inverted or (self.outside and exponent != -1):
            return None
        size = abs(exponent)
        if self.power * size not in (1.0, 0.5):
            return None
        return replace(self, power=self.power * size, floor=self.floor**size, inverted=exponent < 0)

    def _moved(self, factor: float | None, offset: float | None) -> Quotient | None:
        """Times a positive factor, plus an offset that is not negative; None stands for what is no single number."""
        if factor == 1 and offset == 0:
            return self
        if factor is None or offset is None or factor <= 0 or offset < 0 or self.inverted:
            return None
        scaled = self._scaled(factor)
        if self.power == 1 and self.floor == 0:
            return replace(scaled, inside=scaled.inside + offset)
        return replace(scaled, outside=scaled.outside + offset)

    def _scaled(self, factor: float) -> Quotient:
        """Times a positive factor, which goes into the power."""
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
    """How a node follows from a sum over axes of another one, which it repeats along them.

    source: the node that is summed. kept: the shape with extent 1 at the axes. Where `quotient` is inverted, inverted:
    the node whose reciprocal, or that of its root, was taken, before it is repeated; exponent: the power that did so.
    """

    source: str
    axes: tuple[int, ...]
    kept: tuple[int, ...]
    quotient: Quotient
    inverted: Node
    exponent: float


def way_to_sum(
    graph: Graph, node: Node, shape: tuple[int, ...], summed: tuple[int, ...] | None = None
) -> WayToSum | None:
    """The way to a node of this shape from a sum over some of its axes, if there is one.

    summed: the shape of what is summed, if that has other extents along these axes.
    """
    path: list[Node] = []
    while len(node.inputs) == 1 and not isinstance(node.op, (ops.Sum, ops.Mean)):
        path.append(node)
        node = graph[node.inputs[0]]
    summed = summed or shape
    if not isinstance(node.op, (ops.Sum, ops.Mean)) or graph[node.inputs[0]].shape != summed:
        return None
    axes, kept = node.op.axes, without(summed, node.op.axes)
    if without(shape, axes) != kept or not repeats(graph, path, kept, shape):
        return None
    count = math.prod(summed[axis] for axis in axes)
    quotient: Quotient | None = Quotient(share=1 / count if isinstance(node.op, ops.Mean) else 1.0)
    inverted, exponent = node, 1.0
    for step in reversed(path):
        if isinstance(step.op, (ops.Reshape, ops.Expand)):
            continue
        quotient = quotient and quotient.after(step.op)
        if isinstance(step.op, ops.Power) and step.op.exponent < 0:
            inverted, exponent = _before_repeated(graph, graph[step.inputs[0]]), step.op.exponent
    return None if quotient is None else WayToSum(node.inputs[0], axes, kept, quotient, inverted, exponent)


def _before_repeated(graph: Graph, node: Node) -> Node:
    """The node before it was expanded."""
    while isinstance(node.op, ops.Expand):
        node = graph[node.inputs[0]]
    return node


def repeats(graph: Graph, path: list[Node], kept: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a path, from its end, repeats its start along the axes where `kept` has extent 1, and moves nothing."""
    expansions = [node for node in path if isinstance(node.op, ops.Expand)]
    if kept == shape:
        return not expansions
    if len(expansions) != 1 or expansions[0].shape != shape or graph[expansions[0].inputs[0]].shape != kept:
        return False
    # Behind the expansion shapes stay; before it entries keep their order, whatever their shape.
    later = path[: path.index(expansions[0])]
    return not any(isinstance(node.op, ops.Reshape) for node in later)


def without(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with extent 1 at the axes."""
    return tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))
