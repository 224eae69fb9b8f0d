"""Rules of elementwise affine ops and of sums of branches (residual connections, Corollary 4 as corrected in the docs)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from autodual.dual.affine import AffineLayer, StructuralLayer
from autodual.dual.layer import NOTHING, Contribution, DualLayer
from autodual.dual.registry import dual_rule
from autodual.dual.rows import Rows, inner
from autodual.dual.rule import AffineRule
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.ir.graph import Node


class ElementwiseAffineLayer(AffineLayer):
    """x · factor + offset (batch norm in inference, Corollary 7; normalisation; constants)."""

    windowed = True

    def __init__(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment):
        super().__init__(node, shapes, environment, monotone=False)
        op = node.op
        assert isinstance(op, ops.ElementwiseAffine)
        self.factor = self._broadcast(ops.optional(op.factor, environment))
        self.offset = self._broadcast(ops.optional(op.offset, environment))

    def _broadcast(self, value: Tensor | None) -> Tensor | None:
        return None if value is None else value.expand(1, *self.node.shape)

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        if self.factor is None:
            return (rows,)
        if rows.window is None:
            return (rows.with_values(rows.values * self.factor.unsqueeze(1)),)
        return (rows.scaled(self.factor),)

    def objective(self, rows: Rows) -> Contribution:
        if self.offset is None:
            return NOTHING
        return Contribution(centre=inner(rows.crop(), self.offset))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        (bounds,) = inputs
        if self.factor is None:
            return bounds.map(lambda end: self.forward([end]))
        return Interval.around(self.forward([bounds.centre]), bounds.radius * self.factor.abs())

    @property
    def terms(self) -> int:
        return self.node.size  # of the inner product with the offset


@dual_rule(ops.ElementwiseAffine)
class ElementwiseAffineRule(AffineRule):
    """Scaling and shifting by constants and parameters."""

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return ElementwiseAffineLayer(node, shapes, environment)


class AddLayer(StructuralLayer):
    """Both branches receive the same rows."""

    windowed = True

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        return (rows, rows)

    @property
    def terms(self) -> int:
        return 2


@dual_rule(ops.Add)
class AddRule(AffineRule):
    """Residual connections."""

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return AddLayer(node, shapes, environment, monotone=True)


class SubtractLayer(StructuralLayer):
    """The second branch receives the rows with the opposite sign."""

    windowed = True

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        return (rows, rows.negated())

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        first, second = inputs
        return Interval(first.lower - second.upper, first.upper - second.lower)

    @property
    def terms(self) -> int:
        return 2


@dual_rule(ops.Subtract)
class SubtractRule(AffineRule):
    """Differences of branches."""

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return SubtractLayer(node, shapes, environment, monotone=False)
