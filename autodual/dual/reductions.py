"""Rules of ops that add up or average scalars: sums, means, adaptive pooling, resampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from autodual.dual.affine import StructuralLayer
from autodual.dual.layer import DualLayer
from autodual.dual.registry import dual_rule
from autodual.dual.rule import AffineRule
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.ir.graph import Node


class SummingLayer(StructuralLayer):
    """Sums of `count` scalars at most, for averages divided by `divisor` or multiplied by its rounded inverse."""

    def __init__(
        self,
        node: Node,
        shapes: Sequence[tuple[int, ...]],
        environment: Environment,
        count: int,
        *,
        divisor: float = 1.0,
    ):
        super().__init__(node, shapes, environment, monotone=True)
        self.count = count
        self.divisor = divisor

    @property
    def roundings(self) -> int:
        return self.count + 2

    @property
    def summed(self) -> float:
        return max(1.0, abs(self.divisor))


@dual_rule(ops.Sum, ops.Mean)
class ReductionRule(AffineRule):
    """Non-negative coefficients and no constant: transposed automatically, intervals end by end."""

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        count = torch.Size(shapes[0]).numel() // node.size
        return SummingLayer(node, shapes, environment, count, divisor=count if isinstance(node.op, ops.Mean) else 1)


@dual_rule(ops.AdaptiveAveragePool)
class AdaptivePoolRule(AffineRule):
    """Averages over windows whose sizes differ by one."""

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        assert isinstance(node.op, ops.AdaptiveAveragePool)
        sizes = zip(shapes[0][-len(node.op.output_size) :], node.op.output_size)
        largest = math.prod(-(-extent // count) + 1 for extent, count in sizes)
        return SummingLayer(node, shapes, environment, largest, divisor=largest)


@dual_rule(ops.CumulativeSum)
class CumulativeSumRule(AffineRule):
    """Sums of all scalars so far."""

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        assert isinstance(node.op, ops.CumulativeSum)
        return SummingLayer(node, shapes, environment, shapes[0][node.op.axis])


class ResamplingLayer(StructuralLayer):
    """Averages with weights that torch computes while it runs, in ways that have no rounding analysis."""

    @property
    def roundings(self) -> None:
        return None


@dual_rule(ops.Interpolate)
class InterpolateRule(AffineRule):
    """Resampling: non-negative coefficients and no constant."""

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return ResamplingLayer(node, shapes, environment, monotone=True)
