"""The intermediate representation: an immutable graph of primitive operations over live parameters."""

from autodual.ir.expressions import Call, Environment, Expression, Parameter
from autodual.ir.graph import Graph, GraphError, Node, Source, verify
from autodual.ir.op import Op
from autodual.ir.text import format_graph, format_node

__all__ = [
    "Call",
    "Environment",
    "Expression",
    "Graph",
    "GraphError",
    "Node",
    "Op",
    "Parameter",
    "Source",
    "format_graph",
    "format_node",
    "verify",
]
