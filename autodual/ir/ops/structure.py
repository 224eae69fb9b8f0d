"""Ops that move, copy or drop scalars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from autodual.ir.expressions import Environment, Expression
from autodual.ir.op import Op


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
class Take(Op):
    """Entries of one sample by flat position, in any order and as often as wanted: output `[*shape]`, from
    `positions` `[*shape]`, whole numbers (gather and index with fixed indices, flips, rolls).
    """

    positions: Expression
    shape: tuple[int, ...]

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        flat = inputs[0].reshape(inputs[0].shape[0], -1)
        return flat[:, environment(self.positions).reshape(-1)].reshape(-1, *self.shape)
