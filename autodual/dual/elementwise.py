"""Rules of elementwise affine ops and of sums of branches (residual connections, Corollary 4 as corrected)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.affine import AffineLayer, StructuralLayer
from autodual.dual.layer import NOTHING, Contribution, DualLayer
from autodual.dual.registry import dual_rule
from autodual.dual.row_products import inner, inner_everywhere
from autodual.dual.rows import Rows
from autodual.dual.rule import AffineRule
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.ir.graph import Node
from autodual.tensors import shared


class ElementwiseAffineLayer(AffineLayer):
    """x · factor + offset (batch norm in inference, Corollary 7; normalisation; constants)."""

    windowed = True

    def __init__(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment):
        super().__init__(node, shapes, environment, monotone=False)
        op = node.op
        assert isinstance(op, ops.ElementwiseAffine)
        self.factor = self._aligned(ops.optional(op.factor, environment))
        self.offset = self._aligned(ops.optional(op.offset, environment))
        self.uniform = all(_alike_everywhere(value) for value in (self.factor, self.offset))

    def _aligned(self, value: Tensor | None) -> Tensor | None:
        """The value with a batch axis and all of the node's axes."""
        return None if value is None else value.reshape((1,) * (len(self.node.shape) + 1 - value.dim()) + value.shape)

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        if self.factor is None:
            return (rows,)
        if rows.window is None or self.uniform:
            return (rows.with_values(rows.values * self.factor.unsqueeze(1)),)
        return (rows.scaled(self.factor.expand(1, *self.node.shape)),)

    def objective(self, rows: Rows) -> Contribution:
        if self.offset is None:
            return NOTHING
        rows = rows.crop()
        if not self.uniform:
            return Contribution(centre=inner(rows, self.offset.expand(1, *self.node.shape)))
        return Contribution(centre=inner_everywhere(rows, self.offset))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        (bounds,) = inputs
        if self.factor is None:
            return bounds.map(lambda end: self.forward([end]))
        return Interval.around(self.forward([bounds.centre]), shared(bounds.radius) * self.factor.abs())

    def norms(self, moving: Sequence[Tensor]) -> tuple[Tensor, ...]:
        (mask,) = moving
        if mask.shape[1:] != self.node.shape:
            return super().norms(moving)
        factors = mask if self.factor is None else torch.where(mask, self.factor, 0.0)
        return (factors.double().abs().flatten(1).amax(1),)

    @property
    def terms(self) -> int:
        return self.node.size  # of the inner product with the offset

    @property
    def roundings(self) -> int:
        """A product and a sum, and two more for ((x - μ)·r)·γ + β, as batch norms may be computed."""
        return 4

    @property
    def reads(self) -> int:
        return 1


def _alike_everywhere(value: Tensor | None) -> bool:
    """Whether a value `[1, C, *spatial]` depends on the channel alone."""
    return value is None or all(extent == 1 for extent in value.shape[2:])


@dual_rule(ops.ElementwiseAffine)
class ElementwiseAffineRule(AffineRule):
    """Scaling and shifting by constants and parameters."""

    source = "Corollary 7, corrected"
    reads_one = True

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return ElementwiseAffineLayer(node, shapes, environment)


class _TwoBranches(StructuralLayer):
    """A sum or a difference: one rounding of two terms."""

    windowed = True
    uniform = True

    @property
    def terms(self) -> int:
        return 2

    @property
    def roundings(self) -> int:
        return 1


class AddLayer(_TwoBranches):
    """Both branches receive the same rows."""

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        return (rows, rows)


@dual_rule(ops.Add)
class AddRule(AffineRule):
    """Residual connections."""

    source = "Corollary 4, corrected"

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return AddLayer(node, shapes, environment, monotone=True)


class SubtractLayer(_TwoBranches):
    """The second branch receives the rows with the opposite sign."""

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        return (rows, rows.negated())

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        first, second = inputs
        return Interval(first.lower - second.upper, first.upper - second.lower)


@dual_rule(ops.Subtract)
class SubtractRule(AffineRule):
    """Differences of branches."""

    source = "Corollary 4, corrected"

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return SubtractLayer(node, shapes, environment, monotone=False)
