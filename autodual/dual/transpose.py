"""Transposed convolution to a stated size, by whichever kernel is fast for its shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as functional
from torch import Tensor

from autodual.measured import measured

_TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


@dataclass(frozen=True)
class Geometry:
    """How a convolution moves over its input, one entry a spatial axis."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1

    @property
    def unpadded(self) -> Geometry:
        return replace(self, padding=(0,) * len(self.padding))

    def reach(self, extent: Sequence[int], kernel: Sequence[int]) -> tuple[int, ...]:
        """Size of the input patch that an output patch of size `extent` reads with this `kernel`, padding included."""
        return tuple((e - 1) * s + d * (k - 1) + 1 for e, s, d, k in zip(extent, self.stride, self.dilation, kernel))


def transpose_convolution(values: Tensor, weight: Tensor, geometry: Geometry, size: Sequence[int]) -> Tensor:
    """Adjoint of the convolution: `[B, out, *extent]` → `[B, in, *size]`.

    `size` may exceed what the outputs reach (stride left a remainder); the rest is zero, which plain transposed
    convolutions without output padding get wrong.

    Args:
        values: `[B, out, *extent]`.
        weight: the convolution's weight, `[out, in / groups, *kernel]`.
        geometry: its stride, padding, dilation and groups.
        size: spatial size of the convolution's input.
    """
    reach = geometry.reach(values.shape[2:], weight.shape[2:])
    left_over = tuple(n + 2 * p - r for n, p, r in zip(size, geometry.padding, reach))
    channels = weight.shape[1] * geometry.groups
    if len(size) == 2 and geometry.groups == 1 and channels < measured.fold_channels and not any(left_over):
        # A batched product: as one broadcast product it would be laid out the other way round, and copied.
        columns = torch.bmm(weight.flatten(1).T.expand(values.shape[0], -1, -1), values.flatten(2))
        return functional.fold(
            columns, tuple(size), tuple(weight.shape[2:]), geometry.dilation, geometry.padding, geometry.stride
        )
    transposed = _TRANSPOSED[len(size)]
    # Output padding must stay below the stride (or dilation); the rest is padded afterwards.
    allowed = tuple(min(e, max(s, d) - 1) for e, s, d in zip(left_over, geometry.stride, geometry.dilation))
    pulled = transposed(
        values, weight, None, geometry.stride, geometry.padding, allowed, geometry.groups, geometry.dilation
    )
    rest = [e - a for e, a in zip(left_over, allowed)]
    if any(rest):
        pulled = functional.pad(pulled, [pad for e in reversed(rest) for pad in (0, e)])
    return pulled
