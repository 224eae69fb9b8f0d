"""Values without axes, one number a sample, get an axis of extent 1: everything behind the frontend needs one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch

from autodual.frontend.constants import apply
from autodual.ir import Node
from autodual.ir.ops import (
    Add,
    Constant,
    ElementwiseAffine,
    ElementwiseOp,
    LeakyRelu,
    Maximum,
    Mean,
    Multiply,
    Reshape,
    Subtract,
    Sum,
    Take,
)

_ELEMENTWISE = (ElementwiseOp, LeakyRelu, ElementwiseAffine, Add, Subtract, Multiply, Maximum)


def with_axes(nodes: Iterable[Node], output: str) -> list[Node]:
    """The nodes with the shape `[1]` in place of `[]`; the output, the inputs and ops of unknown kind keep theirs."""
    result: list[Node] = []
    widened: set[str] = set()
    for node in nodes:
        made = _widened(node, widened) if node.shape == () else None
        if made is None:
            result += _as_before(node, widened)
            continue
        widened.add(node.name)
        result += made
    if output in widened:
        # The output keeps its name; the node that computed it is renamed, and a reshape makes the output of it.
        place = next(at for at, node in enumerate(result) if node.name == output)
        inner = replace(result[place], name=f"{output}_value")
        rest = [_reading(node, {output: inner.name}) for node in result[place + 1 :]]
        final = Node(output, Reshape(()), (inner.name,), (), inner.source)
        result = [*result[:place], inner, *rest, final]
    return result


def _widened(node: Node, widened: set[str]) -> list[Node] | None:
    """The node with an axis of extent 1 added; None where its op may compute something else then."""
    op = node.op
    if isinstance(op, Reshape):
        return [replace(node, op=Reshape((1,)), shape=(1,))]
    if isinstance(op, Take):
        return [replace(node, op=replace(op, shape=(1,)), shape=(1,))]
    if isinstance(op, Constant):
        return [replace(node, op=Constant(apply(torch.reshape, op.value, (1,))), shape=(1,))]
    if isinstance(op, (Sum, Mean)):
        kept = replace(node, name=f"{node.name}_kept", op=replace(op, keepdim=True), shape=(1,) * len(op.axes))
        return [kept, Node(node.name, Reshape((1,)), (kept.name,), (1,), node.source)]
    if isinstance(op, _ELEMENTWISE) and widened.issuperset(node.inputs):
        return [replace(node, shape=(1,))]
    return None


def _as_before(node: Node, widened: set[str]) -> list[Node]:
    """A node whose operands keep the shapes that it was made for: reshapes go in between where they have changed."""
    if isinstance(node.op, Reshape) or widened.isdisjoint(node.inputs):
        return [node]
    names = {name: f"{name}_for_{node.name}" for name in node.inputs if name in widened}
    narrow = [Node(new, Reshape(()), (old,), (), node.source) for old, new in names.items()]
    return [*narrow, _reading(node, names)]


def _reading(node: Node, names: dict[str, str]) -> Node:
    """The node with some of its operands replaced, by name."""
    return replace(node, inputs=tuple(names.get(name, name) for name in node.inputs))
