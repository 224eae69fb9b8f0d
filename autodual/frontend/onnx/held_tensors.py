"""The weights and constants of an ONNX network under names that a torch module can have."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from torch import nn

from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.file_limits import Budget
from autodual.frontend.onnx.legal_names import legal_name
from autodual.frontend.onnx.operands import Static
from autodual.ir import Expression, Parameter

HOLDER = "tensors"
"""The submodule of the network that holds them; their names in the graph start with it."""


class Tensors:
    """The module that holds the weights and constants that rules have asked for, each of them once."""

    def __init__(self, budget: Budget) -> None:
        self.holder = nn.Module()
        self._budget = budget
        self._shared: dict[str | Static, Expression] = {}
        self._taken: Counter[str] = Counter()

    def parameter(self, value: Static) -> Expression:
        """A parameter, if the value is a floating initialiser; what is computed from one becomes a buffer."""
        return self._expression(value, trainable=value.initializer is not None)

    def buffer(self, value: Static) -> Expression:
        """A constant."""
        return self._expression(value, trainable=False)

    def find(self, name: str) -> torch.Tensor:
        """A constant by its name in the graph."""
        found: torch.Tensor = getattr(self.holder, name.removeprefix(f"{HOLDER}."))
        return found

    def _expression(self, value: Static, trainable: bool) -> Expression:
        key = value.initializer or value
        if key in self._shared:
            return self._shared[key]
        if value.initializer is None:
            self._budget.add_constant(value.array.nbytes)
        name = self._unique(legal_name(value.initializer or "constant", "constant"))
        tensor = _tensor(value.array)
        if trainable and tensor.is_floating_point():
            self.holder.register_parameter(name, nn.Parameter(tensor))
        else:
            self.holder.register_buffer(name, tensor)
        expression = Parameter(f"{HOLDER}.{name}")
        self._shared[key] = expression
        return expression

    def _unique(self, name: str) -> str:
        candidate = name
        while hasattr(self.holder, candidate):
            self._taken[name] += 1
            candidate = f"{name}_{self._taken[name]}"
        return candidate


def _tensor(array: np.ndarray) -> torch.Tensor:
    """A copy of an array, truth values as 0 and 1."""
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise Unsupported(f"it uses a constant of type {array.dtype}")
    if array.dtype.kind in "b":
        array = array.astype(np.float32)
    elif array.dtype.kind in "iu":
        array = array.astype(np.int64)
    return torch.from_numpy(np.ascontiguousarray(array).copy().reshape(array.shape))
