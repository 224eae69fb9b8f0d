"""Which operators of an ONNX graph an output depends on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def live_nodes(graph: onnx.GraphProto, outputs: Iterable[str]) -> list[onnx.NodeProto]:
    """The operators that the outputs depend on, in order."""
    needed = set(outputs)
    live = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(reads(node))
            live.append(node)
    return live[::-1]


def reads(node: onnx.NodeProto) -> set[str]:
    """The values that an operator reads, also inside its branches."""
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            for inner in body.node:
                names |= reads(inner)
            names.update(output.name for output in body.output)
    return names


def live_model(model: onnx.ModelProto, outputs: Iterable[str]) -> onnx.ModelProto:
    """A copy with nothing but what the outputs depend on."""
    import onnx

    wanted = set(outputs)
    nodes = live_nodes(model.graph, wanted)
    ends = [end for end in model.graph.output if end.name in wanted]
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for field, kept in ((copy.graph.node, nodes), (copy.graph.output, ends)):
        del field[:]
        field.extend(kept)
    return copy
