"""The property that no point gets one chosen class, which a targeted attack refutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.specs.base import Rows, Specification, flat_outputs, guarded
from autodual.specs.label_map import class_count


@dataclass(frozen=True, eq=False)
class AvoidedClass(Specification):
    """The output of some other class is larger than that of `target`: the network never decides for `target`.

    Args:
        target: the class, counted from 0.

    Raises:
        InvalidInputError: the class is no whole number; from `rows`, if the outputs are not `[N, C]` or C classes do
            not have it.

    Example:
        >>> import torch
        >>> from autodual.specs import AvoidedClass
        >>> goal, outputs = AvoidedClass(2), torch.tensor([[3.0, 1.0, 2.0], [1.0, 0.0, 2.0]])
        >>> goal.margin(goal.rows(outputs).values(outputs))
        tensor([ 1., -1.])
    """

    ordinal: ClassVar[bool] = True

    target: int

    def __post_init__(self) -> None:
        if type(self.target) is not int or self.target < 0:
            raise InvalidInputError(f"a class to avoid must be a whole number from 0 on, not {self.target!r}")

    def rows(self, outputs: Tensor) -> Rows:
        flat_outputs(outputs)
        if outputs.dim() != 2:
            raise InvalidInputError(
                f"a class can be avoided where outputs are one class a sample [N, C], not {list(outputs.shape)}"
            )
        classes = class_count(outputs.shape, 1)
        if self.target >= classes:
            raise InvalidInputError(f"there is no class {self.target}; the network has the classes 0 to {classes - 1}")
        unit = torch.eye(classes, dtype=outputs.dtype, device=outputs.device)
        others = torch.arange(classes, device=outputs.device) != self.target
        matrix = (unit - unit[self.target])[others]
        return Rows(matrix, matrix.new_zeros(classes - 1))

    def margin(self, values: Tensor) -> Tensor:
        return guarded(values.max(-1).values, values)

    def describe(self) -> str:
        return f"another class than {self.target} has the largest output"

    def settings(self) -> dict[str, Any]:
        return {"specification": "avoided class", "target": self.target}
