"""The transposed convolution of a small patch as matrix products.

Library kernels for small transposed convolutions run far below the machine's speed, a matrix product near it. The whole
patch-to-patch matrix is mostly zeros, so it is cut into bands along the first spatial axis: a band of the input patch
sees few rows of the output patch (measured on `mnist_small`: 2.4 ms an image whole, 1.2 ms in bands, 25 ms by the
library's kernel).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.dual.transpose import Geometry, transpose_convolution
from autodual.measured import measured


@dataclass(frozen=True)
class Band:
    """Rows `first` to `last` of the input patch, and the rows `low` to `high` of the output patch that read them."""

    first: int
    last: int
    low: int
    high: int


def bands(extent: int, reach: int, kernel: int, stride: int, dilation: int) -> list[Band]:
    """Bands along one axis, as thin as the stride but not too many.

    Args:
        extent: entries of the output patch along the axis.
        reach: entries of the input patch.
        kernel: entries of the kernel.
        stride: the convolution's stride.
        dilation: its dilation.
    """
    height = stride * max(1, -(-reach // (stride * measured.patch_matrix_bands)))
    made = []
    for first in range(0, reach, height):
        last = min(first + height, reach)
        low = max(0, -((dilation * (kernel - 1) - first) // stride))
        made.append(Band(first, last, low, max(low, min(extent, (last - 1) // stride + 1))))
    return made


class PatchMatrix:
    """Patches `[B, out, *extent]` at a convolution's output to `[B, in, *reach]` at its input, both without padding."""

    def __init__(self, weight: Tensor, geometry: Geometry, extent: tuple[int, ...]):
        self.extent = extent
        self.reach = (weight.shape[1] * geometry.groups, *geometry.reach(extent[1:], weight.shape[2:]))
        self.bands = bands(extent[1], self.reach[1], weight.shape[2], geometry.stride[0], geometry.dilation[0])
        size = torch.Size(extent).numel()
        identity = torch.eye(size, dtype=weight.dtype, device=weight.device).reshape(size, *extent)
        whole = transpose_convolution(identity, weight, geometry.unpadded, self.reach[1:]).reshape(*extent, *self.reach)
        spatial = len(extent) - 1
        # Axes of `whole`: out, *extent, in, *reach; a band narrows the first spatial axis of either side.
        self.parts = [
            whole.narrow(1, band.low, band.high - band.low)
            .narrow(spatial + 2, band.first, band.last - band.first)
            .flatten(spatial + 1)
            .flatten(0, spatial)
            for band in self.bands
        ]

    @property
    def entries(self) -> int:
        return sum(part.numel() for part in self.parts)

    def apply(self, values: Tensor) -> Tensor:
        """The patches `values` `[B, out, *extent]` pulled back: `[B, in, *reach]`."""
        moved = [self._slice(values, band).flatten(1) @ part for band, part in zip(self.bands, self.parts)]
        return self._joined(moved, (values.shape[0],))

    def apply_scaled(self, base: Tensor, scale: Tensor) -> Tensor:
        """`base` `[K, out, *extent]` times `scale` `[G, out, *extent]`, pulled back: `[G, K, in, *reach]`.

        Σ_q scale[g, q] (base[k, q] T[q, i]): the shared rows are merged into the matrix, once for all groups, so that
        the products base·scale are never laid out.
        """
        count, moved = base.shape[0], []
        for band, part in zip(self.bands, self.parts):
            rows = self._slice(base, band).flatten(1)
            merged = rows.T.unsqueeze(2) * part.unsqueeze(1)
            moved.append(self._slice(scale, band).flatten(1) @ merged.flatten(1))
        return self._joined(moved, (scale.shape[0], count))

    @staticmethod
    def _slice(values: Tensor, band: Band) -> Tensor:
        return values.narrow(2, band.low, band.high - band.low)

    def _joined(self, moved: Sequence[Tensor], batch: tuple[int, ...]) -> Tensor:
        channels, rest = self.reach[0], self.reach[2:]
        shaped = [
            part.reshape(*batch, channels, band.last - band.first, *rest) for part, band in zip(moved, self.bands)
        ]
        return torch.cat(shaped, dim=len(batch) + 1) if len(shaped) > 1 else shaped[0]
