"""Rules of products with constant tensors along any axes, and of transposed convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.affine import AffineLayer, StructuralLayer
from autodual.dual.layer import DualLayer
from autodual.dual.registry import dual_rule
from autodual.dual.rows import Rows
from autodual.dual.rule import AffineRule
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.ir.graph import Node
from autodual.tensors import shared


class ContractionLayer(StructuralLayer):
    """An einsum with a constant; its transpose is found automatically."""

    def __init__(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment):
        super().__init__(node, shapes, environment, monotone=False)
        assert isinstance(node.op, ops.Contraction)
        self.op = node.op
        self.value = environment(node.op.constant)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        (x,) = inputs
        return Interval.around(
            self.op.contract(x.centre, self.value), self.op.contract(shared(x.radius), self.value.abs())
        )

    @property
    def roundings(self) -> int:
        """One product, and the sum over the contracted indices."""
        return self.multiplications // self.node.size + 1

    @property
    def multiplications(self) -> int:
        """One per combination of all indices."""
        first, second = self.op.equation.split("->")[0].split(",")
        extents = dict(zip(first, self.shapes[0])) | dict(zip(second, self.value.shape))
        return torch.Size(extents.values()).numel()


@dual_rule(ops.Contraction)
class ContractionRule(AffineRule):
    """Products with constant matrices on either side."""

    source = "equation 3.13"

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return ContractionLayer(node, shapes, environment)


class TransposedConvolutionLayer(AffineLayer):
    """Its transpose is a convolution."""

    def __init__(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment):
        super().__init__(node, shapes, environment, monotone=False)
        assert isinstance(node.op, ops.TransposedConvolution)
        self.op = node.op
        self.weight = environment(node.op.weight)

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        values, (shape,) = rows.values, self.shapes
        pulled = self.op.transpose(values.reshape(-1, *self.node.shape), self.weight)
        for axis, extent in enumerate(shape[1:], 2):
            pulled = pulled.narrow(axis, 0, extent)
        return (rows.with_values(pulled.reshape(*values.shape[:2], *shape), shape=shape),)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        (x,) = inputs
        return Interval.around(self.forward([x.centre]), self.op.convolve(shared(x.radius), self.weight.abs(), None))

    def push(self, columns: Sequence[Tensor | None]) -> Tensor:
        (column,) = columns
        assert column is not None
        return self.op.convolve(column, self.weight, None)

    @property
    def roundings(self) -> int:
        """An output sums at most one product per entry of the kernel and input channel of its group, and the bias."""
        return self.weight[:, 0].numel() // self.op.groups + 1

    @property
    def multiplications(self) -> int:
        return torch.Size(self.shapes[0]).numel() * self.weight[0].numel()


@dual_rule(ops.TransposedConvolution)
class TransposedConvolutionRule(AffineRule):
    """Transposed ("up-") convolutions."""

    source = "equation 3.13"

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return TransposedConvolutionLayer(node, shapes, environment)
