"""Random networks with every op and every way to join branches, small enough to check a property in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from hypothesis import strategies as st
from support.networks import Network
from support.random_layers import LAYERS, steps
from torch import Tensor

from autodual.ir import Expression, ops
from autodual.network import DualNetwork
from autodual.passes import Pass

Kind = Literal["rectified", "continuous", "any"]
Draw = Callable[[st.SearchStrategy[Any]], Any]

#: Nodes with more scalars than this would make examples slow and test nothing new.
_LARGEST = 160
_OUTPUTS = 3


@dataclass(frozen=True)
class RandomNetwork:
    """A network with `[3]` outputs, and the names of its layers (shown if a property fails)."""

    network: Network
    output: str
    layers: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.network.shape("input")

    def dual(self, passes: list[Pass] | None = None) -> DualNetwork:
        return self.network.dual(self.output, passes)

    def __repr__(self) -> str:
        return f"{list(self.shape)} -> {', '.join(self.layers)}"


class Growth:
    """Draws layers and appends them to a network."""

    def __init__(self, draw: Draw, shape: tuple[int, ...], seed: int):
        self.draw = draw
        self.network = Network(shape)
        self.generator = torch.Generator().manual_seed(seed)
        self.at = "input"
        self.names: list[str] = []
        self.shared: dict[tuple[int, ...], tuple[Expression, Expression]] = {}

    # --- numbers ---------------------------------------------------------------------------------------------------

    def choose(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def normal(self, *size: int) -> Tensor:
        return torch.randn(size, generator=self.generator, dtype=torch.float64)

    def weight(self, *size: int) -> Tensor:
        """Plain, coarse (exact ties and zeros), or with some or all units having zero weights."""
        fan_in = max(1, torch.Size(size[1:]).numel())
        weight = 1.4 * self.normal(*size) / fan_in**0.5
        kind = self.choose("plain", "plain", "coarse", "silent units", "zero")
        if kind == "coarse":
            return (2 * weight).round() / 2
        if kind == "silent units":
            weight[::2] = 0
        return 0 * weight if kind == "zero" else weight

    def bias(self, size: int) -> Tensor:
        """Zero (ties at zero), plain, or so extreme that units are always off or always on."""
        bias = 0.3 * self.normal(size)
        kind = self.choose("zero", "plain", "plain", "extreme")
        if kind == "extreme":
            bias[::3] = -30
            bias[1::3] = 30
        return 0 * bias if kind == "zero" else bias

    # --- layers ----------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.network.shape(self.at)

    def add(self, op: ops.Op, *inputs: str) -> str:
        self.at = self.network.add(op, *inputs)
        return self.at

    def linear(self, at: str, outputs: int, share: bool = False) -> str:
        inputs = self.network.shape(at)[-1]
        if not (share and (outputs, inputs) in self.shared):
            weight = self.network.parameter(self.weight(outputs, inputs))
            self.shared[outputs, inputs] = (weight, self.network.parameter(self.bias(outputs)))
        weight, bias = self.shared[outputs, inputs]
        return self.add(ops.Linear(weight, bias if self.choose(True, True, False) else None), at)

    def convolution(self, at: str, keep_shape: bool = False) -> str:
        channels, *space = self.network.shape(at)
        axes = len(space)
        groups = self.choose(1, 1, channels)
        if keep_shape:
            kernel, stride, padding, dilation, outputs = (3,) * axes, (1,) * axes, (1,) * axes, (1,) * axes, channels
        else:
            dilation = tuple(self.choose(1, 1, 2) for _ in space)
            padding = tuple(self.choose(0, 1, 2) for _ in space)
            stride = tuple(self.choose(1, 2, 3) for _ in space)
            room = [min(3, (n + 2 * p - 1) // d + 1) for n, p, d in zip(space, padding, dilation)]
            kernel = tuple(1 + self.choose(0, 1, 2) % most for most in room)
            outputs = groups * self.choose(1, 2) if groups > 1 else self.choose(1, 2, 3)
        weight = self.network.parameter(self.weight(outputs, channels // groups, *kernel))
        bias = self.network.parameter(self.bias(outputs)) if self.choose(True, True, False) else None
        return self.add(ops.Convolution(weight, bias, stride, padding, dilation, groups), at)

    def mixing(self, at: str, keep_shape: bool = False, share: bool = False) -> str:
        """A layer with weights that fits the shape."""
        shape = self.network.shape(at)
        if len(shape) in (2, 3) and self.choose(True, True, False):
            return self.convolution(at, keep_shape)
        return self.linear(at, shape[-1] if keep_shape else self.choose(2, 3, 5), share)

    def affine(self, at: str) -> str:
        """A scale and a shift: per channel, one number, or per feature; factors may be negative or zero."""
        shape = self.network.shape(at)
        broadcast = self.choose((shape[0], *(1,) * (len(shape) - 1)), (1,) * len(shape), shape)
        factor, offset = self.normal(*broadcast), self.normal(*broadcast)
        factor[torch.rand(factor.shape, generator=self.generator) < 0.2] = 0
        parts = self.choose((factor, offset), (factor, None), (None, offset))
        made = [None if part is None else self.network.parameter(part) for part in parts]
        return self.add(ops.ElementwiseAffine(*made), at)

    def structure(self, at: str) -> str:
        """An op that moves, drops, repeats or averages scalars."""
        shape = self.network.shape(at)
        axis = self.draw(st.integers(0, len(shape) - 1))
        extent = shape[axis]
        options: list[ops.Op] = [
            ops.Pad((1, 2) if len(shape) == 1 else (1, 0, 0, 1), 0.5),
            ops.Slice(axis, min(1, extent - 1), extent, 2),
            ops.Permute(tuple(reversed(range(len(shape))))),
            ops.Reshape((torch.Size(shape).numel(),)),
            ops.Mean((axis,), keepdim=True),
        ]
        if len(shape) > 1:
            options += [ops.Sum((axis,)), ops.Pad((-min(1, shape[-1] - 1), 1), -0.3)]
        if len(shape) in (2, 3):
            options.append(self.pool(shape))
            options.append(ops.AdaptiveAveragePool(tuple(min(2, n) for n in shape[1:])))
        return self.add(self.choose(*options), at)

    def pool(self, shape: tuple[int, ...]) -> ops.Op:
        axes = len(shape) - 1
        kernel = tuple(min(2, n) for n in shape[1:])
        stride = (self.choose(1, 2),) * axes
        padding = tuple(self.choose(0, 1) if k > 1 else 0 for k in kernel)
        divisor = self.choose(None, 3) if axes == 2 else None
        return ops.AveragePool(kernel, stride, padding, self.choose(False, True), self.choose(True, False), divisor)

    def residual(self, at: str) -> str:
        """x ± g(x), or x ± x itself."""
        branch = at
        for _ in range(self.choose(0, 1, 2)):
            branch = self.add(ops.Relu(), self.mixing(branch, keep_shape=True, share=self.choose(False, True)))
        pair = (at, branch) if self.choose(True, False) else (branch, at)
        return self.add(self.choose(ops.Add(), ops.Subtract()), *pair)

    def dense_skip(self, at: str) -> str:
        """Two concatenated branches; one may be constant."""
        shape = self.network.shape(at)
        branch = self.add(ops.Relu(), self.mixing(at, keep_shape=True))
        if self.choose(False, False, True):
            branch = self.add(ops.Constant(self.network.parameter(self.normal(*shape))))
        return self.add(ops.Concatenate(self.draw(st.integers(0, len(shape) - 1))), at, branch)

    def fan_out(self, at: str) -> str:
        """One node read by three ReLUs, one after a sign flip or a shift, so that different units are undecided."""
        factor = self.network.parameter(torch.tensor(-1.0, dtype=torch.float64))
        offset = self.network.parameter(0.2 * self.normal())
        other = self.add(ops.ElementwiseAffine(*self.choose((factor, None), (None, offset))), at)
        first, second, third = (self.add(ops.Relu(), name) for name in (at, other, at))
        joined = self.add(self.choose(ops.Add(), ops.Subtract()), first, second)
        return self.add(ops.Add(), joined, third)

    def grow(self, kind: Kind) -> None:
        layers: dict[str, Callable[[str], str]] = {
            "mixing": self.mixing,
            "relu": lambda at: self.add(ops.Relu(), at),
            "mixing, relu": lambda at: self.add(ops.Relu(), self.mixing(at)),
            "residual": self.residual,
            "affine": self.affine,
            "structure": self.structure,
            "dense skip": self.dense_skip,
            "fan-out": self.fan_out,
        }
        if kind != "rectified":
            layers |= {name: partial(layer, self) for name, layer in LAYERS.items()}
        if kind == "any":
            layers["steps"] = partial(steps, self)
        name = self.draw(st.sampled_from(list(layers)))
        layers[name](self.at)
        self.names.append(name)


@st.composite
def networks(draw: Draw, most_layers: int = 6, kind: Kind = "rectified") -> RandomNetwork:
    """A random network in float64: with ReLUs only, with all continuous functions, or with all functions."""
    shape = draw(st.sampled_from([(3,), (4,), (2, 5), (1, 7), (1, 4, 5), (2, 5, 4), (3, 3, 3)]))
    growth = Growth(draw, shape, draw(st.integers(0, 2**16)))
    for _ in range(draw(st.integers(1, most_layers))):
        if torch.Size(growth.shape).numel() > _LARGEST:
            break
        growth.grow(kind)
    flat = growth.add(ops.Reshape((torch.Size(growth.shape).numel(),)), growth.at)
    output = growth.linear(flat, _OUTPUTS)
    return RandomNetwork(growth.network, output, tuple(growth.names))
