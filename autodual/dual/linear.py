"""The rule of fully connected layers (equation 3.13)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from autodual.dual.affine import AffineLayer
from autodual.dual.layer import NOTHING, Contribution, DualLayer
from autodual.dual.registry import dual_rule
from autodual.dual.row_products import inner, product_of_columns
from autodual.dual.rows import Rows
from autodual.dual.rule import AffineRule
from autodual.dual.spectral_norm import NORM_ENTRIES, masked_norm
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.ir.graph import Node
from autodual.tensors import shared


class LinearLayer(AffineLayer):
    """y = x Wᵀ + b over the last axis, so ν̂ = ν W."""

    def __init__(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment):
        super().__init__(node, shapes, environment, monotone=False)
        assert isinstance(node.op, ops.Linear)
        self.weight = environment(node.op.weight)
        self.constant_term = ops.optional(node.op.bias, environment)

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        if rows.units is not None and len(self.node.shape) == 1:
            pulled = self.weight.index_select(0, rows.units).unsqueeze(0)
        else:
            pulled = product_of_columns(rows.values, self.weight)
        return (rows.with_values(pulled, shape=self.shapes[0]),)

    def objective(self, rows: Rows) -> Contribution:
        if self.constant_term is None:
            return NOTHING
        return Contribution(centre=inner(rows, self.constant_term.expand(1, *self.node.shape)))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        (bounds,) = inputs
        return Interval.around(self.forward([bounds.centre]), shared(bounds.radius) @ self.weight.abs().T)

    def push(self, columns: Sequence[Tensor | None]) -> Tensor:
        (column,) = columns
        assert column is not None
        return column @ self.weight.T

    def norms(self, moving: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The matrix meets every place before the last axis apart, so its columns are those that move at any."""
        (mask,) = moving
        if self.weight.numel() > NORM_ENTRIES:
            return super().norms(moving)
        return (masked_norm(self.weight, mask.reshape(mask.shape[0], -1, mask.shape[-1]).any(1)),)

    @property
    def terms(self) -> int:
        return max(self.weight.shape)

    @property
    def roundings(self) -> int:
        return self.weight.shape[1] + 1

    @property
    def constant_magnitude(self) -> Tensor | None:
        return None if self.constant_term is None else self.constant_term.abs().expand(1, *self.node.shape)

    @property
    def multiplications(self) -> int:
        return self.node.size * self.weight.shape[1]


@dual_rule(ops.Linear)
class LinearRule(AffineRule):
    """Fully connected layers."""

    source = "equation 3.13, Corollary 3"

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return LinearLayer(node, shapes, environment)
