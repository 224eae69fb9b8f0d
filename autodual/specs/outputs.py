"""Specifications for regression: outputs stay in a box (`OutputBox`), or near their nominal values (`Deviation`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.specs.base import Rows, Specification, fitted, flat_outputs, guarded, output_tensor


@dataclass(frozen=True, eq=False)
class OutputBox(Specification):
    """lower < f < upper, for every output.

    Args:
        lower, upper: numbers, `[K]` or `[N, K]`; an end that is infinite for all samples demands nothing.

    Raises:
        InvalidInputError: an end is NaN; from `rows`, if an end does not fit the outputs or the box is empty.

    Example:
        >>> import torch
        >>> from autodual.specs import OutputBox
        >>> goal, outputs = OutputBox(0.0, 4.0), torch.tensor([[1.0, 2.0]])
        >>> goal.margin(goal.rows(outputs).values(outputs))
        tensor([1.])
    """

    lower: Any
    upper: Any

    def __post_init__(self) -> None:
        for name in ("lower", "upper"):
            object.__setattr__(self, name, output_tensor(getattr(self, name), f"the outputs' {name} end"))

    def rows(self, outputs: Tensor) -> Rows:
        outputs = flat_outputs(outputs)
        lower, upper = fitted(self.lower, outputs, "lower"), fitted(self.upper, outputs, "upper")
        if (lower >= upper).any():
            raise InvalidInputError("no output can lie in the box: every lower end must be below its upper end")
        offset = torch.cat(torch.broadcast_tensors(lower, -upper), -1)
        unit = torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device)
        free = offset.isinf() if offset.dim() == 1 else offset.isinf().all(0)
        if free.all():
            raise InvalidInputError("the box of outputs is unbounded and holds of anything; give a finite end")
        objective, offset = torch.cat([unit, -unit])[~free], offset[..., ~free]
        if offset.isinf().any():
            raise InvalidInputError("an end of the box of outputs must be finite for all samples or for none")
        return Rows(objective, offset)

    def margin(self, values: Tensor) -> Tensor:
        return guarded(values.min(-1).values, values)

    def select(self, index: Tensor | slice) -> OutputBox:
        ends = {name: getattr(self, name) for name in ("lower", "upper")}
        return replace(self, **{name: end[index] if end.dim() == 2 else end for name, end in ends.items()})

    def describe(self) -> str:
        return f"every output lies between {_words(self.lower)} and {_words(self.upper)}"

    def settings(self) -> dict[str, Any]:
        return {"specification": "box", "lower": self.lower.tolist(), "upper": self.upper.tolist()}


@dataclass(frozen=True, eq=False)
class Deviation(Specification):
    """|f(z) − f(x)| < delta for every output, where f(x) is what the network computes, rounding included.

    Args:
        delta: a positive number, or `[K]` with one per output.

    Raises:
        InvalidInputError: delta is not positive and finite.

    Example:
        >>> import torch
        >>> from autodual.specs import Deviation
        >>> goal = Deviation(0.5)
        >>> goal.margin(goal.rows(torch.tensor([[1.0, 2.0]])).values(torch.tensor([[1.25, 2.0]])))
        tensor([0.2500])
    """

    delta: Any
    relative: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "delta", output_tensor(self.delta, "delta"))
        if not ((self.delta > 0) & self.delta.isfinite()).all() or self.delta.dim() > 1:
            raise InvalidInputError("delta must be a positive, finite number or one such number per output")

    def rows(self, outputs: Tensor) -> Rows:
        outputs = flat_outputs(outputs).detach()
        delta = fitted(self.delta, outputs, "delta")
        unit = torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device)
        offset = torch.cat([outputs - delta, -outputs - delta], -1)
        return Rows(torch.cat([unit, -unit]), offset, torch.finfo(offset.dtype).eps * offset.abs())

    def margin(self, values: Tensor) -> Tensor:
        return guarded(values.min(-1).values, values)

    def describe(self) -> str:
        return f"no output moves by {_words(self.delta)} or more from its nominal value"

    def settings(self) -> dict[str, Any]:
        return {"specification": "deviation", "delta": self.delta.tolist()}


def _words(value: Tensor) -> str:
    least, greatest = float(value.detach().min()), float(value.detach().max())
    return f"{least:.6g}" if least == greatest else f"{least:.6g} to {greatest:.6g}"
