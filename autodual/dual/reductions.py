"""Rules of ops that add up or average scalars: sums, means, adaptive pooling, resampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.affine import StructuralLayer
from autodual.dual.layer import DualLayer
from autodual.dual.registry import dual_rule
from autodual.dual.rule import AffineRule
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.ir.graph import Node


class SummingLayer(StructuralLayer):
    """Sums of at most `count` scalars; for averages divided by `divisor`, or multiplied by its rounded inverse."""

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
    """Cumulative sums."""

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        assert isinstance(node.op, ops.CumulativeSum)
        return SummingLayer(node, shapes, environment, shapes[0][node.op.axis])


class ResamplingLayer(StructuralLayer):
    """Averages of the entries around positions that a run computes from numbers of pixels, in float32 or wider."""

    def __init__(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment):
        super().__init__(node, shapes, environment, monotone=True)
        assert isinstance(node.op, ops.Interpolate)
        self.op = node.op

    @property
    def roundings(self) -> int:
        """A sum of two entries along each axis, and the products of its weights; 0 for the nearest entry, a copy."""
        axes = len(self.op.size)
        return 0 if self.op.nearest else 2**axes + 2 * axes

    def misplaced(self, sizes: Sequence[Tensor], unit: float) -> Tensor | None:
        """A position has an error of a few roundings of its size, which changes an average by that share of the
        difference of two entries. A nearest entry changes only where float32 and float64 choose different ones.
        """
        (size,) = sizes
        spatial = tuple(range(2, size.dim()))
        apart = 2 * size.amax(spatial, keepdim=True).expand(-1, *self.node.shape)
        if self.op.nearest:
            return apart * self._doubtful(self.shapes[0][1:]).to(size)
        off = sum(extent + 1 for extent in self.shapes[0][1:])
        return apart * 4 * min(unit, torch.finfo(torch.float32).eps / 2) * off

    def _doubtful(self, extent: tuple[int, ...]) -> Tensor:
        """Where float32 and float64 read different entries, `[*size]`."""
        places = torch.arange(math.prod(extent)).reshape(1, 1, *extent)
        single, double = (
            self.op.forward([places.to(dtype)], self.environment) for dtype in (torch.float32, torch.float64)
        )
        return (single.double() != double)[0, 0]


@dual_rule(ops.Interpolate)
class InterpolateRule(AffineRule):
    """Resampling: non-negative coefficients and no constant."""

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return ResamplingLayer(node, shapes, environment)
