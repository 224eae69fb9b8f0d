"""The rule of convolutions: the transposed convolution pulls rows, windowed ones within their receptive field."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.affine import AffineLayer
from autodual.dual.convolution_norm import convolution_norm
from autodual.dual.layer import NOTHING, Contribution, DualLayer
from autodual.dual.patch_matrix import PatchMatrix
from autodual.dual.registry import dual_rule
from autodual.dual.row_products import inner_everywhere
from autodual.dual.rows import Rows
from autodual.dual.rule import AffineRule
from autodual.dual.transpose import Geometry, transpose_convolution
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.ir.graph import Node
from autodual.measured import measured
from autodual.tensors import shared

# Most entries of a patch-to-patch matrix, and of one that is merged with shared rows.
_MATRIX_ENTRIES = 4_000_000
_MERGED_ENTRIES = 8_000_000


class ConvolutionLayer(AffineLayer):
    """y = W ∗ x + b, so ν̂ = Wᵀ ∗ ν with W's stride, padding, dilation and groups."""

    windowed = True
    local = True
    uniform = True

    def __init__(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment):
        super().__init__(node, shapes, environment, monotone=False)
        op = node.op
        assert isinstance(op, ops.Convolution)
        self.weight = environment(op.weight)
        self.constant_term = ops.optional(op.bias, environment)
        self.geometry = Geometry(op.stride, op.padding, op.dilation, op.groups)
        self._matrices: dict[tuple[int, ...], PatchMatrix] = {}

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        if rows.window is not None:
            return (self._pull_windows(rows),)
        values = rows.values
        flat = values.reshape(-1, *self.node.shape)
        pulled = transpose_convolution(flat, self.weight, self.geometry, self.shapes[0][1:])
        return (rows.with_values(pulled.reshape(*values.shape[:2], *self.shapes[0]), shape=self.shapes[0]),)

    def _pull_windows(self, rows: Rows) -> Rows:
        rows = rows.crop()
        assert rows.window is not None
        patch = (self.shapes[0][0], *self.reach(rows.extent[1:]))
        groups = rows.base.shape[0] if rows.scale is None else max(rows.base.shape[0], rows.scale.shape[0])
        if not self._prefers_matrix(rows.extent, patch):
            flat = rows.values.reshape(-1, *rows.extent)
            pulled = transpose_convolution(flat, self.weight, self.geometry.unpadded, patch[1:])
        elif rows.scale is not None and rows.base.shape[0] == 1 and self._prefers_merging(rows, patch, groups):
            pulled = self._matrix(rows.extent).apply_scaled(rows.base[0], rows.scale[:, 0])
        else:
            pulled = self._matrix(rows.extent).apply(rows.values.reshape(-1, *rows.extent))
        window = rows.window.moved(self.geometry.stride, self.geometry.padding)
        cropped = not window.overhang(patch[1:], self.shapes[0][1:])
        values = pulled.reshape(groups, rows.count, *patch)
        return rows.with_values(values, shape=self.shapes[0], window=window, cropped=cropped)

    def reach(self, extent: Sequence[int]) -> tuple[int, ...]:
        return self.geometry.reach(extent, self.weight.shape[2:])

    def _prefers_matrix(self, extent: tuple[int, ...], patch: tuple[int, ...]) -> bool:
        entries = torch.Size(extent).numel() * torch.Size(patch).numel()
        footprint = self.weight[0].numel()
        return entries <= _MATRIX_ENTRIES and torch.Size(patch).numel() <= measured.patch_matrix_waste * footprint

    def _prefers_merging(self, rows: Rows, patch: tuple[int, ...], groups: int) -> bool:
        features = torch.Size(rows.extent).numel()
        return rows.count * features * torch.Size(patch).numel() <= _MERGED_ENTRIES and groups >= features // 4

    def _matrix(self, extent: tuple[int, ...]) -> PatchMatrix:
        if extent not in self._matrices:
            self._matrices[extent] = PatchMatrix(self.weight, self.geometry, extent)
        return self._matrices[extent]

    def objective(self, rows: Rows) -> Contribution:
        if self.constant_term is None:
            return NOTHING
        rows = rows.crop()
        bias = self.constant_term.view(1, -1, *([1] * len(self.geometry.stride)))
        return Contribution(centre=inner_everywhere(rows, bias))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        (bounds,) = inputs
        return Interval.around(self.forward([bounds.centre]), self._convolve(shared(bounds.radius), self.weight.abs()))

    def push(self, columns: Sequence[Tensor | None]) -> Tensor:
        (column,) = columns
        assert column is not None
        return self._convolve(column, self.weight)

    def _convolve(self, value: Tensor, weight: Tensor) -> Tensor:
        op = self.node.op
        assert isinstance(op, ops.Convolution)
        return op.convolve(value, weight, None)

    def norms(self, moving: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Of all columns: which of them move differs from sample to sample, and the norm is worth keeping."""
        assert isinstance(self.node.op, ops.Convolution)
        return (convolution_norm(self.node.op, self.weight, self.shapes[0], self.node.shape).reshape(1),)

    @property
    def terms(self) -> int:
        """Inputs that a unit reads, or units that read an input, whichever is more."""
        return max(self.weight[0].numel(), self.weight[:, 0].numel())

    @property
    def roundings(self) -> int:
        return self.weight[0].numel() + 1

    @property
    def constant_magnitude(self) -> Tensor | None:
        if self.constant_term is None:
            return None
        return self.constant_term.abs().view(1, -1, *[1] * len(self.geometry.stride)).expand(1, *self.node.shape)

    @property
    def multiplications(self) -> int:
        return self.node.size * self.weight[0].numel()


@dual_rule(ops.Convolution)
class ConvolutionRule(AffineRule):
    """Convolutions over one, two or three axes."""

    source = "equation 3.13, Corollary 3"

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return ConvolutionLayer(node, shapes, environment)
