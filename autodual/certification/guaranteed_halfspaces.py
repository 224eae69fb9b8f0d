"""From bounds of a specification's rows to bounds of its half-spaces: subtract the offsets, allow for rounding."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.bounds import Execution, ObjectiveBounds
from autodual.specs import Rows, Specification
from autodual.tensors import flat

# Factor for the rounding of the error bound's own sums.
_SAFETY = 1 + 2.0**-20


@dataclass(frozen=True)
class Deployment:
    """A run of the network in the dtype of its numbers.

    analysed: whether every op says how far a run of it may be off. reason: why not, or why no number bounds how far a
    run of some samples is off.
    """

    dtype: torch.dtype
    analysed: bool = True
    reason: str = ""

    def reason_for(self, error: float) -> str:
        """Why nothing is known of a sample whose scores are off by so much; nothing where something is."""
        return "" if self.analysed and math.isfinite(error) else self.reason


def fits(rows: Rows, dtype: torch.dtype) -> bool:
    """Whether every coefficient keeps its relative precision in a dtype, as the bound of the rounding error assumes."""
    return rows.form.fits(dtype)


def guaranteed(found: ObjectiveBounds, rows: Rows) -> tuple[Tensor, Tensor]:
    """Lower bounds of row · f - offset and the error that they allow for, `[N, S]`, float64."""
    assert found.error is not None
    # A row of zeros, such as a class compared with itself, is exactly 0, so no rounding is charged.
    bound, error = (rows.form.complete(part.double()) for part in (found.lower, found.error))
    if rows.offset_error is not None:
        error = error + rows.offset_error
        bound = bound - rows.offset_error
    return _below(bound, rows.offset.double()), error


def _below(first: Tensor, second: Tensor) -> Tensor:
    """first - second, or the next number below where rounding lifted it (Knuth's exact sum of two numbers)."""
    difference = first - second
    back = difference - first
    lost = (first - (difference - back)) - (second + back)
    return torch.where(lost < 0, difference.nextafter(torch.full_like(difference, -torch.inf)), difference)


def deployment_of(execution: Execution, rows: Rows, spec: Specification, lower: Tensor) -> tuple[Deployment, Tensor]:
    """The run, and how far row · f may be off in it, `[N, S]`, float64; infinite where nothing is known.

    lower: bounds of the half-spaces, `[N, S]`, for whose samples this is asked.
    """
    deployment = Deployment(execution.dtype, execution.error is not None, execution.reason)
    if execution.error is None:
        return deployment, torch.full_like(lower, torch.inf)
    found = _SAFETY * rows.form.spread(flat(execution.error).double())
    return deployment, 2 * found if spec.relative else found
