"""One operator as a model of its own: the shapes of its results, and what they cost, without running it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, TypeAlias

from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.operands import Branch, Static

if TYPE_CHECKING:
    import onnx

Operands: TypeAlias = "Sequence[Branch | Static | None]"

_SMALL = 1024
"""Entries of operands that may be shapes and sizes, which decide how large results are."""
_READING_MANY = re.compile("Conv|Pool|LRN|DFT|Det$|RNN|LSTM|GRU|Attention|RoiAlign|NonMaxSuppression")
_PER_PRODUCT = 8
"""How much longer a multiplication in those takes than in a product of matrices."""


def alone(node: onnx.NodeProto, opsets: Sequence[onnx.OperatorSetIdProto], operands: Operands) -> onnx.ModelProto:
    """A model of one operator, whose inputs `operand_0`, `operand_1`, ... are its operands."""
    import onnx
    from onnx import helper, numpy_helper

    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.input[:]
    copy.input.extend(operand_names(operands))
    given = [(name, operand) for name, operand in zip(copy.input, operands, strict=True) if operand is not None]
    kinds = [(name, helper.np_dtype_to_tensor_dtype(operand.dtype), operand.shape) for name, operand in given]
    graph = helper.make_graph(
        [copy],
        "operator",
        [helper.make_tensor_value_info(*kind) for kind in kinds],
        [onnx.ValueInfoProto(name=name) for name in node.output if name],
        [
            numpy_helper.from_array(operand.array, name)
            for name, operand in given
            if isinstance(operand, Static) and 0 < operand.array.size <= _SMALL
        ],
    )
    return helper.make_model(graph, opset_imports=list(opsets), ir_version=8)


def operand_names(operands: Operands) -> list[str]:
    """What the operands are called in such a model; those left out have no name."""
    return [f"operand_{place}" if operand is not None else "" for place, operand in enumerate(operands)]


def results(model: onnx.ModelProto) -> list[tuple[int, ...] | None]:
    """The shape of each result, as ONNX' own inference tells it without running anything; None where it cannot.

    Raises:
        Unsupported: a result would have a negative extent.
    """
    return [shape for shape, _ in typed_results(model)]


def typed_results(model: onnx.ModelProto) -> list[tuple[tuple[int, ...] | None, int]]:
    """The shape of each result as in `results`, and the number of its type in ONNX; 0 where that is not known.

    Raises:
        Unsupported: a result would have a negative extent.
    """
    from onnx import shape_inference

    (node,) = model.graph.node
    parts = next((attribute.i for attribute in node.attribute if attribute.name == "num_outputs"), len(node.output))
    if parts != len(node.output):  # the inference would make as many as are stated
        raise Unsupported(f"it states {parts} results but has {len(node.output)}")
    try:
        inferred = shape_inference.infer_shapes(model)
    except Exception:  # the package raises errors of many kinds
        raise Unsupported("what it makes cannot be told from its attributes and operands") from None
    found: list[tuple[tuple[int, ...] | None, int]] = []
    for end in inferred.graph.output:
        dims = end.type.tensor_type.shape.dim
        known = end.type.tensor_type.HasField("shape") and all(extent.HasField("dim_value") for extent in dims)
        shape = tuple(extent.dim_value for extent in dims) if known else None
        if shape is not None and min(shape, default=0) < 0:
            raise Unsupported(f"its result would have the shape {list(shape)}")
        found.append((shape, end.type.tensor_type.elem_type))
    return found


def multiplications(node: onnx.NodeProto, operands: Operands, entries: int) -> int:
    """About how many multiplications an operator needs to make so many entries."""
    shapes = [operand.shape for operand in operands if operand is not None]
    kind = node.op_type
    if kind in ("MatMul", "Gemm", "MatMulInteger") and shapes[0]:
        return entries * max(shapes[0][-2:])
    if kind == "Einsum":
        return max(entries, prod(dict(_letters(node, shapes)).values()))
    if not _READING_MANY.search(kind):
        return entries
    sizes = {attribute.name: attribute for attribute in node.attribute}
    if kind.startswith("Conv") and len(shapes) > 1:
        reads = prod(shapes[1][1:])
        entries = prod(shapes[0]) if kind == "ConvTranspose" else entries
    elif "kernel_shape" in sizes:
        reads = prod(sizes["kernel_shape"].ints)
    elif kind == "LRN":
        reads = shapes[0][1]
    else:
        reads = max(max(shape, default=1) for shape in shapes) * _PER_PRODUCT
    return _PER_PRODUCT * entries * reads


def _letters(node: onnx.NodeProto, shapes: Sequence[tuple[int, ...]]) -> list[tuple[str, int]]:
    """The letters of an equation with their extents; places that `...` stands for are counted from the end."""
    equation = next((entry.s for entry in node.attribute if entry.name == "equation"), b"").decode("utf-8", "replace")
    found: list[tuple[str, int]] = []
    for term, shape in zip(equation.replace(" ", "").split("->")[0].split(","), shapes):
        first, _, last = term.partition("...")
        inner = [f".{place}" for place in range(len(shape) - len(first) - len(last), 0, -1)] if "..." in term else []
        found += zip([*first, *inner, *last], shape)
    return found
