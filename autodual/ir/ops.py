"""The primitive operations of this release, on one sample; everything else is lowered to these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from autodual.ir.expressions import Environment, Expression
from autodual.ir.op import Op

_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
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


def optional(expression: Expression | None, environment: Environment) -> Tensor | None:
    """The value of an expression that may be absent."""
    return None if expression is None else environment(expression)


@dataclass(frozen=True, eq=False)
class Input(Op):
    """The network's input; the engine supplies its value."""

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        raise AssertionError("an input has no forward")


@dataclass(frozen=True, eq=False)
class Constant(Op):
    """A tensor `[*shape]` that does not depend on the input (a class token, a mask); users broadcast it."""

    value: Expression

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return environment(self.value).unsqueeze(0)


@dataclass(frozen=True, eq=False)
class Linear(Op):
    """x @ weightᵀ + bias over the last axis; weight `[out, in]`, bias `[out]`."""

    weight: Expression
    bias: Expression | None = None

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return functional.linear(inputs[0], environment(self.weight), optional(self.bias, environment))


@dataclass(frozen=True, eq=False)
class Convolution(Op):
    """A convolution over 1, 2 or 3 spatial axes (as many as `stride` has entries), zero padded by `padding` on both
    sides.
    """

    weight: Expression
    bias: Expression | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return self.convolve(inputs[0], environment(self.weight), optional(self.bias, environment))

    def convolve(self, value: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution of this geometry with other weights of the same shape."""
        run = _CONVOLUTIONS[len(self.stride)]
        return run(value, weight, bias, self.stride, self.padding, self.dilation, self.groups)


@dataclass(frozen=True, eq=False)
class ElementwiseAffine(Op):
    """x · factor + offset, both broadcast to one sample's shape without changing it (batch norm, normalisation,
    constants).
    """

    factor: Expression | None = None
    offset: Expression | None = None

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        value = inputs[0]
        if self.factor is not None:
            value = value * environment(self.factor)
        if self.offset is not None:
            value = value + environment(self.offset)
        return value


@dataclass(frozen=True, eq=False)
class Relu(Op):
    """max(x, 0)."""

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0].relu()


@dataclass(frozen=True, eq=False)
class Add(Op):
    """The sum of two branches of the same shape."""

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0] + inputs[1]


@dataclass(frozen=True, eq=False)
class Subtract(Op):
    """The difference of two branches of the same shape."""

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0] - inputs[1]


@dataclass(frozen=True, eq=False)
class Reshape(Op):
    """The same scalars in another shape `[*shape]` (flatten, view, squeeze, unsqueeze)."""

    shape: tuple[int, ...]

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0].reshape(inputs[0].shape[0], *self.shape)


@dataclass(frozen=True, eq=False)
class Permute(Op):
    """Axes of one sample in another order: `order[i]` is the old axis at the new place i."""

    order: tuple[int, ...]

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0].permute(0, *(axis + 1 for axis in self.order))


@dataclass(frozen=True, eq=False)
class Expand(Op):
    """Axes of extent 1 repeated to `shape`, which has as many axes as the input."""

    shape: tuple[int, ...]

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0].expand(inputs[0].shape[0], *self.shape)


@dataclass(frozen=True, eq=False)
class Slice(Op):
    """Entries start, start + step, … below stop along one axis of a sample; 0 ≤ start ≤ stop ≤ extent."""

    axis: int
    start: int
    stop: int
    step: int = 1

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        index = [slice(None)] * inputs[0].dim()
        index[self.axis + 1] = slice(self.start, self.stop, self.step)
        return inputs[0][tuple(index)]


@dataclass(frozen=True, eq=False)
class Concatenate(Op):
    """Branches side by side along one axis of a sample."""

    axis: int

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        batch = max(value.shape[0] for value in inputs)
        return torch.cat([value.expand(batch, *value.shape[1:]) for value in inputs], dim=self.axis + 1)


@dataclass(frozen=True, eq=False)
class Pad(Op):
    """Constant padding; `pads` in torch's order (last axis first, before and after), negative ones crop."""

    pads: tuple[int, ...]
    value: float = 0.0

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return functional.pad(inputs[0], self.pads, value=self.value)


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
