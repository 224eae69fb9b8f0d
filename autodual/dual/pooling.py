"""The rule of average pooling: a convolution of each channel with a constant kernel, where torch's options allow it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autodual.dual.affine import StructuralLayer
from autodual.dual.layer import DualLayer
from autodual.dual.reductions import SummingLayer
from autodual.dual.registry import dual_rule
from autodual.dual.rows import Rows
from autodual.dual.rule import AffineRule
from autodual.dual.transpose import Geometry, transpose_convolution
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.ir.graph import Node


class WindowedPoolLayer(StructuralLayer):
    """Average pooling whose every window divides by the same number: the transpose keeps windows local."""

    windowed = True
    local = True
    uniform = True

    def __init__(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment):
        super().__init__(node, shapes, environment, monotone=True)
        op = node.op
        assert isinstance(op, ops.AveragePool)
        self.geometry = Geometry(op.stride, op.padding, (1,) * len(op.kernel), groups=shapes[0][0])
        area = math.prod(op.kernel)
        self.kernel = op.kernel
        self.weight_value = 1 / (op.divisor or area)

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        rows = rows.crop()
        values, shape = rows.values, self.shapes[0]
        weight = values.new_full((shape[0], 1, *self.kernel), self.weight_value)
        flat = values.reshape(-1, *rows.extent)
        if rows.window is None:
            pulled = transpose_convolution(flat, weight, self.geometry, shape[1:])
            return (rows.with_values(pulled.reshape(*values.shape[:2], *shape), shape=shape),)
        extent = self.reach(rows.extent[1:])
        pulled = transpose_convolution(flat, weight, self.geometry.unpadded, extent)
        window = rows.window.moved(self.geometry.stride, self.geometry.padding)
        cropped = not window.overhang(extent, shape[1:])
        values = pulled.reshape(*values.shape[:2], shape[0], *extent)
        return (rows.with_values(values, shape=shape, window=window, cropped=cropped),)

    @property
    def roundings(self) -> int:
        return math.prod(self.kernel) + 2

    @property
    def summed(self) -> float:
        return max(1.0, 1 / abs(self.weight_value))

    def reach(self, extent: Sequence[int]) -> tuple[int, ...]:
        return self.geometry.reach(extent, self.kernel)

    @property
    def multiplications(self) -> int:
        return self.node.size * math.prod(self.kernel)


@dual_rule(ops.AveragePool)
class AveragePoolRule(AffineRule):
    """Average pooling in all of torch's variants; the irregular ones are transposed automatically."""

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        op = node.op
        assert isinstance(op, ops.AveragePool)
        padded = any(op.padding) and not op.count_include_pad and op.divisor is None
        channels_first = len(node.shape) == len(op.kernel) + 1
        if op.ceil_mode or padded or not channels_first:
            area = math.prod(op.kernel)
            return SummingLayer(node, shapes, environment, area, divisor=op.divisor or area)
        return WindowedPoolLayer(node, shapes, environment)
