"""Which operators of an ONNX graph an output depends on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def live_nodes(body: onnx.GraphProto | onnx.FunctionProto, outputs: Iterable[str]) -> list[onnx.NodeProto]:
    """The operators that the outputs depend on, in order."""
    needed = set(outputs)
    live = []
    for node in reversed(body.node):
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
    """The model with only what the outputs depend on: a copy, or the model itself where nothing has to go."""
    import onnx

    wanted = set(outputs)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    shortened = _prune(copy.graph, wanted)
    for function in copy.functions:
        shortened |= _prune(function, function.output)
    return copy if shortened else model


def _prune(body: onnx.GraphProto | onnx.FunctionProto, outputs: Iterable[str]) -> bool:
    """Remove what the outputs do not depend on, also inside branches; says whether there was anything."""
    live = live_nodes(body, outputs)
    shortened = len(live) < len(body.node)
    if shortened:
        kept = [type(node)() for node in live]
        for copy, node in zip(kept, live, strict=True):
            copy.CopyFrom(node)
        del body.node[:]
        body.node.extend(kept)
    for node in body.node:
        for attribute in node.attribute:
            for branch in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                shortened |= _prune(branch, [end.name for end in branch.output])
    return shortened
