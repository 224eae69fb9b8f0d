"""The rule of sums of products of two operands: what all of them say of a run's error."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autodual.dual.execution import Executed, Run
from autodual.dual.rule import NonlinearRule


class ProductRule(NonlinearRule):
    """The rule of sums of products of two operands."""

    @abstractmethod
    def product(self, first: Tensor, second: Tensor) -> Tensor:
        """The op applied to two tensors `first` and `second` `[N, *shape]`."""

    def reads(self, shapes: Sequence[Sequence[int]]) -> int:
        """How many products of two scalars an output sums, for operands of these `shapes`."""
        return 1

    def passed(self, operands: Sequence[Executed], errors: Sequence[Tensor]) -> Tensor:
        """The `errors` of the `operands` passed on: the error of xy is at most |x̂|e_y + |y|e_x."""
        x, y = operands
        return self.product(x.size, errors[1]) + self.product(errors[0], y.real.magnitude)

    def executed(self, op: Any, operands: Sequence[Executed], run: Run) -> Tensor:
        x, y = operands
        reached, count = self.product(x.size, y.size), self.reads([x.size.shape, y.size.shape])
        own = run.precision.gamma(count) * reached + 2 * count * run.precision.tiny
        passed = self.passed(operands, [x.error, y.error])
        return torch.where(reached < run.precision.largest / 2, passed + own, torch.inf)
