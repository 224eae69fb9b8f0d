"""Lowering of einsum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from autodual.frontend.compositions import ConstantTerm, contracted, spelled_out
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.ir import Node

aten = torch.ops.aten


@lowers(aten.einsum.default, any_batch_axis=True)
def einsum(builder: Builder, equation: str, operands: Sequence[Any], *_: Any) -> Node:
    """The equation of one sample is that of the batch without the letter of the batch axis."""
    terms, result = spelled_out(equation, [len(operand.shape) + isinstance(operand, Node) for operand in operands])
    paired = list(zip(terms, operands, strict=True))
    batch = {term[builder.batch_axis(node)] for term, node in paired if isinstance(node, Node)}
    if len(batch) != 1 or not batch <= set(result):
        builder.mixing("does not keep the batch axes of all branches together")
    if builder.layout is not None and builder.layout.merged:
        raise Unsupported("the batch axis is merged with another axis; separate them before")
    (axis,) = batch
    branches: list[tuple[str, Node]] = []
    constants: list[ConstantTerm] = []
    for term, operand in paired:
        if isinstance(operand, Node):
            if term.count(axis) > 1:
                builder.mixing("takes the diagonal of the batch axis")
            branches.append((term.replace(axis, ""), operand))
        elif axis in term:
            builder.mixing("contracts a constant along the batch axis")
        else:
            value = builder.constant(operand, "factor")
            assert value is not None
            constants.append(ConstantTerm(term, value, tuple(operand.shape)))
    return contracted(builder, branches, constants, result.replace(axis, ""))
