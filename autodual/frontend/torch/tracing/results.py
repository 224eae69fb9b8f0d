"""Checking what a lowering rule yields against what torch.export recorded."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from autodual.errors import TraceError
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.layout import Displaced, placed
from autodual.frontend.torch.registry import accounts_for_rounding
from autodual.ir import Node


def checked(builder: Builder, operation: fx.Node, result: Any) -> Any:
    """A rule's result with its layout, if it has the recorded shape and no operand was rounded to a narrower type."""
    recorded = builder.result if isinstance(builder.result, (tuple, list)) else (builder.result,)
    produced = result if isinstance(result, tuple) else (result,)
    before = [node.meta["val"] for node in operation.all_input_nodes if isinstance(node.meta.get("val"), Tensor)]
    checked = []
    for value, expected in zip(produced, recorded, strict=True):
        if isinstance(value, Node):
            shape = builder.sample_shape(expected.shape)
            if shape != value.shape:
                raise TraceError(
                    f"the rule of {operation.target} yields the shape {value.shape} where torch yields {shape}; "
                    "correct the rule."
                )
            value = builder.placed(value, expected.shape)
        elif isinstance(value, Displaced):
            # Where an axis is moved or merged the rule says what became of the layout.
            value = placed(value.node, value.layout)
        if isinstance(value, (Node, Displaced)) and not accounts_for_rounding(operation.target):
            for operand in before:
                _refuse_rounding(operand, expected)
        checked.append(value)
    return tuple(checked) if isinstance(result, tuple) else checked[0]


def _refuse_rounding(operand: Tensor, result: Tensor) -> None:
    """Operations into a narrower type round in their own way, unlike casts; truth values come from comparisons."""
    if (
        operand.dim()
        and result.dtype is not torch.bool
        and operand.is_floating_point()
        and torch.promote_types(operand.dtype, result.dtype) != result.dtype
    ):
        raise Unsupported(f"it rounds from {operand.dtype} to {result.dtype}")
