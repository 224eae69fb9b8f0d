"""The stable text form of a graph, for `--print-after` and for tests."""

from __future__ import annotations

from autodual.ir.graph import Graph, Node


def format_node(node: Node) -> str:
    """The node as `name: [shape] = kind(inputs) {attributes}`.

    Args:
        node: a node of a graph.

    Example:
        >>> import autodual, torch
        >>> graph = autodual.compile_dual(torch.nn.Linear(2, 3), torch.zeros(1, 2)).plan.graph
        >>> print(autodual.ir.format_node(graph[graph.inputs[0]]))
        input: [2] = input()
    """
    attributes = ", ".join(f"{key}={value}" for key, value in node.op.attributes().items())
    shape = "×".join(str(extent) for extent in node.shape) or "scalar"
    suffix = f" {{{attributes}}}" if attributes else ""
    return f"{node.name}: [{shape}] = {node.op.kind}({', '.join(node.inputs)}){suffix}"


def format_graph(graph: Graph) -> str:
    """The graph as text: one line a node, then the outputs.

    Args:
        graph: the graph of a traced network, `dual.plan.graph`.

    Example:
        >>> import autodual, torch
        >>> dual = autodual.compile_dual(torch.nn.ReLU(), torch.zeros(1, 2))
        >>> print(autodual.ir.format_graph(dual.plan.graph))
        input: [2] = input()
        relu: [2] = relu(input)
        return relu
    """
    lines = [format_node(node) for node in graph]
    lines.append(f"return {', '.join(graph.outputs)}")
    return "\n".join(lines)
