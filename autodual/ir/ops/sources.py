"""Where values come from: the network's inputs, and constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.ir.expressions import Environment, Expression
from autodual.ir.op import Op


@dataclass(frozen=True, eq=False)
class Input(Op):
    """The network's input; the engine supplies its value. dtype: the one that the network declares, or None."""

    dtype: torch.dtype | None = None

    @property
    def narrows(self) -> torch.dtype | None:
        return self.dtype

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        raise AssertionError("an input has no forward")


@dataclass(frozen=True, eq=False)
class Constant(Op):
    """A tensor `[*shape]` that does not depend on the input (a class token, a mask); users broadcast it."""

    value: Expression

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return environment(self.value).unsqueeze(0)
