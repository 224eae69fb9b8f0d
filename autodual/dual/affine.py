"""The dual of any op that is affine in its inputs, derived from its forward function alone.

For y = Ax + b, pull is the vector-Jacobian product Aᵀν, push is f(v) - f(0) and the objective is ⟨ν, b⟩ with b = f(0)
(equation 3.13 and Corollary 3). Ops whose speed matters have explicit forms beside this one, tested against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from autodual.dual.layer import NOTHING, Contribution, DualLayer
from autodual.dual.row_products import inner
from autodual.dual.rows import Rows
from autodual.dual.spectral_norm import NORM_ENTRIES, masked_norm
from autodual.interval import Interval
from autodual.ir.expressions import Environment
from autodual.ir.graph import Node
from autodual.tensors import flat, shared


class AffineLayer(DualLayer):
    """An affine op by automatic transposition.

    Args:
        node: the node of the graph; its op has the attributes.
        shapes: the sample shape of each of its inputs.
        environment: evaluates the op's parameters.
        monotone: whether every coefficient of A is non-negative (moving, copying, averaging), so that ends of intervals
            map to ends.

    Example:
        >>> import torch
        >>> from autodual.dual import AffineLayer, Rows
        >>> from autodual.ir import Environment, Node, ops
        >>> environment = Environment({}.__getitem__, torch.float32, torch.device("cpu"))
        >>> layer = AffineLayer(Node("sum", ops.Sum((0,)), ("x",), ()), [(3,)], environment, monotone=True)
        >>> layer.pull(Rows(torch.tensor([[2.0]]), ()))[0].values
        tensor([[[2., 2., 2.]]])
    """

    def __init__(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment, *, monotone: bool):
        self.node = node
        self.shapes = tuple(shapes)
        self.environment = environment
        self.monotone = monotone

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """The op on a batch `inputs` `[N, *shape]` of each input: its output `[N, *shape]`."""
        return self.node.op.forward(inputs, self.environment)

    def zeros(self, batch: int) -> list[Tensor]:
        """One tensor of zeros `[batch, *shape]` per input; `batch` is the number of samples."""
        dtype, device = self.environment.dtype, self.environment.device
        return [torch.zeros(batch, *shape, dtype=dtype, device=device) for shape in self.shapes]

    @cached_property
    def bias(self) -> Tensor:
        """b = f(0), `[1, *shape]`."""
        return self.forward(self.zeros(1))

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        values = rows.values
        cotangents = values.reshape(-1, *self.node.shape)
        return tuple(
            rows.with_values(pulled.reshape(*values.shape[:2], *shape), shape=shape)
            for pulled, shape in zip(self._transposed(cotangents), self.shapes)
        )

    def _transposed(self, cotangents: Tensor) -> Sequence[Tensor]:
        """The op's transpose on `[B, *shape]`, by automatic differentiation.

        `torch.func.vjp` would do, but its first call imports a compiler, which takes seconds.
        """
        differentiable = torch.is_grad_enabled()
        if torch.is_inference_mode_enabled():  # tensors made in it cannot be kept for a backward pass
            return torch.func.vjp(lambda *inputs: self.forward(inputs), *self.zeros(len(cotangents)))[1](cotangents)
        with torch.enable_grad():
            inputs = [zero.requires_grad_() for zero in self.zeros(len(cotangents))]
            value = self.forward(inputs)
            return torch.autograd.grad(value, inputs, cotangents, create_graph=differentiable, materialize_grads=True)

    def objective(self, rows: Rows) -> Contribution:
        return Contribution(centre=inner(rows, self.bias))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        if self.monotone:
            return Interval(self.forward([i.lower for i in inputs]), self.forward([i.upper for i in inputs]))
        width = sum(torch.einsum("oi,ni->no", matrix.abs(), flat(i.radius)) for matrix, i in zip(self.matrices, inputs))
        assert isinstance(width, Tensor)
        return Interval.around(self.forward([i.centre for i in inputs]), width.reshape(-1, *self.node.shape))

    @cached_property
    def matrices(self) -> tuple[Tensor, ...]:
        """A as one dense matrix `[outputs, inputs]` per input; only for small ops without a rule of their own."""
        identity = torch.eye(self.node.size, dtype=self.environment.dtype, device=self.environment.device)
        rows = Rows(identity.reshape(1, self.node.size, *self.node.shape), self.node.shape)
        return tuple(flat(pulled.values[0]) for pulled in self.pull(rows))

    def push(self, columns: Sequence[Tensor | None]) -> Tensor:
        return self.forward(self._filled(columns)) - self.bias

    def _filled(self, columns: Sequence[Tensor | None]) -> list[Tensor]:
        """Directions, with zeros for those that are None."""
        if all(column is not None for column in columns):
            return [column for column in columns if column is not None]
        batch = next(column.shape[0] for column in columns if column is not None)
        return [zero if column is None else column for column, zero in zip(columns, self.zeros(batch))]

    def constant(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.forward(inputs)

    def norms(self, moving: Sequence[Tensor]) -> tuple[Tensor, ...]:
        # By Schur's test, ‖A‖₂² ≤ ‖A‖₁ ‖A‖∞, where no coefficient is negative; else of the matrix, if it is small.
        if self.monotone:
            return tuple(self._by_sums(place, mask) for place, mask in enumerate(moving))
        if max(self.node.size * mask[0].numel() for mask in moving) > NORM_ENTRIES:
            return super().norms(moving)
        return tuple(masked_norm(one, mask.flatten(1), self._off) for one, mask in zip(self.matrices, moving))

    @property
    def _off(self) -> float:
        """At most how far coefficients that are computed are off, relative to them."""
        return 2 * (self.terms + 16) * torch.finfo(self.environment.dtype).eps

    def _by_sums(self, place: int, moving: Tensor) -> Tensor:
        """Of an operand, where no coefficient is negative: the root of the largest row's times the largest column's
        sum.
        """
        columns: list[Tensor | None] = [None] * len(self.shapes)
        columns[place] = moving.to(self.environment.dtype)
        row_sums = self.push(columns).flatten(1).abs().amax(1)
        ones = torch.ones(1, 1, *self.node.shape, dtype=row_sums.dtype, device=row_sums.device)
        column_sums = self.pull(Rows(ones, self.node.shape))[place].values.flatten(2).abs().amax((1, 2))
        return (row_sums.double() * column_sums.double()).sqrt() * (1 + self._off)

    def along(self, rows: Rows, points: Sequence[Tensor]) -> Tensor:
        return self.forward([point.flatten(0, 1) for point in points]).unflatten(0, points[0].shape[:2])

    @property
    def terms(self) -> int:
        """No sum is longer than all inputs together, or than the output."""
        sizes = [torch.Size(shape).numel() for shape in self.shapes]
        return max(sum(sizes), self.node.size)

    @property
    def roundings(self) -> int | None:
        """Those of one sum of products and a constant term; an op that is computed otherwise overrides this."""
        return self.terms + 1

    @property
    def multiplications(self) -> int:
        return max(self.node.size, *(torch.Size(shape).numel() for shape in self.shapes))


class StructuralLayer(AffineLayer):
    """An op that only moves, repeats or drops scalars: it adds nothing to the objective."""

    @property
    def keeps_sign(self) -> bool:
        return self.monotone

    def objective(self, rows: Rows) -> Contribution:
        return NOTHING

    def push(self, columns: Sequence[Tensor | None]) -> Tensor:
        return self.forward(self._filled(columns))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        found = super().interval(inputs)
        if not (self.monotone and all(bounds.alike for bounds in inputs)):
            return found
        # There is no constant term, so the forward function maps radii as it maps values.
        centre, radius = self.forward([i.centre for i in inputs]), self.forward([shared(i.radius) for i in inputs])
        return found.made_of(centre, radius)
