"""Folds scaling and shifting (batch norm, constants) into the linear layer or convolution before it.

Every row is pulled through one op fewer. Scaled weights are computed at every call, so layers whose weights far
outnumber their outputs, such as the first fully connected one behind convolutions, are left: it is cheaper to scale
their outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from autodual.passes.base import Pass

if TYPE_CHECKING:
    from collections.abc import Callable

    from autodual.ir.expressions import Expression
    from autodual.ir.graph import Node
    from autodual.ir.op import Op
    from autodual.passes.plan import Plan


# Weights that are always folded: scaling them costs less than one more op. And how many times as many weights as a
# sample has outputs are still folded.
_FEW, _PER_OUTPUT = 1 << 17, 16


@dataclass(frozen=True)
class FoldAffine(Pass):
    """(W x + b) · s + t becomes (s W) x + (s b + t), if s and t are constant over the outputs of a weight row.

    Example:
        >>> import autodual, torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).eval()
        >>> len(autodual.compile_dual(model, torch.zeros(1, 2)).plan.graph.nodes)  # the input and one layer
        2
    """

    name: ClassVar[str] = "fold-affine"

    def run(self, plan: Plan) -> Plan:
        graph = plan.graph
        folded: dict[str, Node] = {}
        dropped: set[str] = set()
        for node in graph:
            current = folded.get(node.inputs[0]) or graph[node.inputs[0]] if len(node.inputs) == 1 else None
            if current is None or len(graph.users[current.name]) != 1 or current.name in graph.outputs:
                continue
            op = _fold(current, node, plan.constant_shape)
            if op is not None:
                folded[node.name] = replace(node, op=op, inputs=current.inputs)
                dropped.add(current.name)
        nodes = [folded.get(node.name, node) for node in graph if node.name not in dropped]
        return replace(plan, graph=graph.with_nodes(nodes))


def _fold(first: Node, second: Node, constant_shape: Callable[[Expression], tuple[int, ...]]) -> Op | None:
    """`second` after `first` as one op, or None if they do not fold."""
    import torch

    from autodual.ir import ops
    from autodual.ir.expressions import Call

    if not isinstance(second.op, ops.ElementwiseAffine):
        return None
    if isinstance(first.op, ops.Linear):
        axis = len(first.shape) - 1
    elif isinstance(first.op, ops.Convolution):
        axis = 0
    else:
        return None

    def along_outputs(constant: Expression | None) -> bool:
        return constant is None or _varies_along(constant_shape(constant), first.shape, axis)

    scale, shift = second.op.factor, second.op.offset
    if not (along_outputs(scale) and along_outputs(shift)):
        return None
    outputs = first.shape[axis]
    weight, bias = first.op.weight, first.op.bias
    size = torch.Size(constant_shape(weight)).numel()
    if scale is not None and size > max(_FEW, _PER_OUTPUT * first.size):
        return None
    if scale is not None:
        bias = None if bias is None else Call(torch.mul, (bias, _rows(scale, outputs, 1)))
        weight = Call(torch.mul, (weight, _rows(scale, outputs, len(constant_shape(weight)))))
    if shift is not None:
        moved = _rows(shift, outputs, 1)
        bias = moved if bias is None else Call(torch.add, (bias, moved))
    return replace(first.op, weight=weight, bias=bias)


def _varies_along(constant: tuple[int, ...], shape: tuple[int, ...], axis: int) -> bool:
    """Whether a tensor broadcast to `shape` is constant along all axes except `axis`."""
    padded = (1,) * (len(shape) - len(constant)) + constant
    return all(extent == 1 for place, extent in enumerate(padded) if place != axis)


def _rows(constant: Expression, outputs: int, axes: int) -> Expression:
    """One number per output, shaped to broadcast to a weight or bias with `axes` axes."""
    import torch

    from autodual.ir.expressions import Call

    vector = Call(torch.Tensor.expand, (Call(torch.reshape, (constant, (-1,))), (outputs,)))
    return vector if axes == 1 else Call(torch.reshape, (vector, (outputs, *(1,) * (axes - 1))))
