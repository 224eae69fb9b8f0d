"""The rule of Einsum."""

from __future__ import annotations

from autodual.frontend.compositions import ConstantTerm, contracted, spelled_out
from autodual.frontend.onnx.attributes import Attributes
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op


@onnx_op("Einsum")
def einsum(builder: OnnxBuilder, attributes: Attributes, *operands: Value) -> Branch:
    """Any number of operands, of which at least one depends on the input."""
    terms, result = spelled_out(attributes.get("equation"), [len(operand.shape) for operand in operands])
    paired = list(zip(terms, operands, strict=True))
    branches = [(term, builder.full(operand)) for term, operand in paired if isinstance(operand, Branch)]
    constants = [
        ConstantTerm(term, builder.weight(operand), operand.shape)
        for term, operand in paired
        if isinstance(operand, Static)
    ]
    node = contracted(builder, branches, constants, result)
    return builder.branch(node, node.shape)
