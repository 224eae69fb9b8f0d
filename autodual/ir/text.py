"""The stable text form of a graph, for `--print-after` and for tests."""

from __future__ import annotations

from autodual.ir.graph import Graph, Node


def format_node(node: Node) -> str:
    """`name: [shape] = kind(inputs) {attributes}`."""
    attributes = ", ".join(f"{key}={value}" for key, value in node.op.attributes().items())
    shape = "×".join(str(extent) for extent in node.shape) or "scalar"
    suffix = f" {{{attributes}}}" if attributes else ""
    return f"{node.name}: [{shape}] = {node.op.kind}({', '.join(node.inputs)}){suffix}"


def format_graph(graph: Graph) -> str:
    """One line a node, then the outputs."""
    lines = [format_node(node) for node in graph]
    lines.append(f"return {', '.join(graph.outputs)}")
    return "\n".join(lines)
