"""What patterns of nodes are made of: new nodes, and products in either order."""

from __future__ import annotations

from collections.abc import Iterator

from autodual.ir import Graph, Node, Op, ops
from autodual.ir.expressions import is_number

#: Nodes in place of one: the last has its name, those before are new.
Nodes = tuple[Node, ...]


def new_node(graph: Graph, node: Node, what: str, op: Op, operand: Node) -> Node:
    """A node with a name of its own, for what another one consists of; its shape is its operand's."""
    name = f"{node.name}_{what}"
    while name in graph.by_name:
        name += "_"
    return Node(name, op, (operand.name,), operand.shape, node.source)


def products(graph: Graph, node: Node) -> Iterator[tuple[Node, Node]]:
    """Both factors of a product, in either order."""
    if isinstance(node.op, ops.Multiply):
        first, second = (graph[name] for name in node.inputs)
        yield first, second
        yield second, first


def is_size(node: Node) -> bool:
    """Whether a node is |x| of its operand."""
    return isinstance(node.op, ops.LeakyRelu) and is_number(node.op.slope, -1)
