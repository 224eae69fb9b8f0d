"""Sums and averages over parts of a sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as functional
from torch import Tensor

from autodual.ir.expressions import Environment
from autodual.ir.op import Op

_AVERAGE_POOLS: dict[int, Callable[..., Tensor]] = {
    1: functional.avg_pool1d,
    2: functional.avg_pool2d,
    3: functional.avg_pool3d,
}
_ADAPTIVE_POOLS: dict[int, Callable[..., Tensor]] = {
    1: functional.adaptive_avg_pool1d,
    2: functional.adaptive_avg_pool2d,
    3: functional.adaptive_avg_pool3d,
}


@dataclass(frozen=True, eq=False)
class AveragePool(Op):
    """Average pooling over the last `len(kernel)` axes, with torch's options."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor: int | None = None

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        arguments: list[Any] = [self.kernel, self.stride, self.padding, self.ceil_mode, self.count_include_pad]
        if len(self.kernel) > 1:
            arguments.append(self.divisor)
        return _AVERAGE_POOLS[len(self.kernel)](inputs[0], *arguments)


@dataclass(frozen=True, eq=False)
class AdaptiveAveragePool(Op):
    """Average pooling to a given output size over the last axes."""

    output_size: tuple[int, ...]

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return _ADAPTIVE_POOLS[len(self.output_size)](inputs[0], self.output_size)


@dataclass(frozen=True, eq=False)
class Mean(Op):
    """The mean over some axes of a sample."""

    axes: tuple[int, ...]
    keepdim: bool = False

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0].mean(tuple(axis + 1 for axis in self.axes), keepdim=self.keepdim)


@dataclass(frozen=True, eq=False)
class Sum(Op):
    """The sum over some axes of a sample."""

    axes: tuple[int, ...]
    keepdim: bool = False

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0].sum(tuple(axis + 1 for axis in self.axes), keepdim=self.keepdim)


@dataclass(frozen=True, eq=False)
class CumulativeSum(Op):
    """Cumulative sums along one axis of a sample."""

    axis: int

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0].cumsum(self.axis + 1)


@dataclass(frozen=True, eq=False)
class Interpolate(Op):
    """Resampling of the last axes `[C, *spatial]` to `size`: every output is an average of inputs.

    mode: nearest, nearest-exact, linear, bilinear or trilinear, with torch's meaning. scales: the factors that torch
    was given beside the size, or None; they decide which inputs an output reads.
    """

    size: tuple[int, ...]
    mode: str
    align_corners: bool | None = None
    scales: tuple[float, ...] | None = None

    @property
    def nearest(self) -> bool:
        """Whether every output is one of the inputs."""
        return self.mode.startswith("nearest")

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        if self.scales is None:
            return functional.interpolate(inputs[0], self.size, mode=self.mode, align_corners=self.align_corners)
        return functional.interpolate(
            inputs[0],
            scale_factor=list(self.scales),
            mode=self.mode,
            align_corners=self.align_corners,
            recompute_scale_factor=False,
        )
