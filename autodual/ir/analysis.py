"""A networkx view of a graph, for analyses and for drawing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autodual.ir.graph import Graph
from autodual.ir.text import format_node

if TYPE_CHECKING:
    import networkx


def to_networkx(graph: Graph) -> networkx.MultiDiGraph:
    """The graph in networkx: one node per node (attribute `node`), one edge per operand (attribute `operand`).

    Args:
        graph: the graph of a traced network.

    Example:
        >>> import autodual, torch
        >>> from autodual.ir.analysis import to_networkx
        >>> list(to_networkx(autodual.compile_dual(torch.nn.ReLU(), torch.zeros(1, 2)).plan.graph).edges())
        [('input', 'relu')]
    """
    import networkx

    view = networkx.MultiDiGraph()
    for node in graph:
        view.add_node(node.name, node=node)
        for operand, name in enumerate(node.inputs):
            view.add_edge(name, node.name, operand=operand)
    return view


def to_dot(graph: Graph) -> str:
    """The `graph` in Graphviz' DOT language."""
    lines = ["digraph network {", '  node [shape=box, fontname="monospace"];']
    for node in graph:
        label = format_node(node).replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'  "{node.name}" [label="{label}"];')
    for source, target in to_networkx(graph).edges():
        lines.append(f'  "{source}" -> "{target}";')
    lines += [f'  "{name}" [peripheries=2];' for name in graph.outputs]
    return "\n".join([*lines, "}"])
