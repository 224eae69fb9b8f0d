"""What a caller hands in as linear functions of the outputs, checked."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.inputs import number_tensor
from autodual.objective import DenseObjective, Objective
from autodual.requirements import require
from autodual.tensors import finite


def checked_objective(objective: Any, x: Tensor, shape: tuple[int, ...], owner: Tensor | None = None) -> Objective:
    """Linear functions of outputs `[N, *shape]` in x's dtype and on its device.

    owner: the sample `[B]` of each subproblem, whose functions they then are: an `Objective`'s of its sample.

    Raises InvalidInputError unless they are an `Objective`, or finite coefficients `[S, *shape]` or `[N, S, *shape]`
    that x's dtype can hold, as a tensor, an array or lists, whose last axes may be flattened.
    """
    size = torch.Size(shape).numel()
    if isinstance(objective, Objective):
        assert objective.terms == size, "an objective is made for the network's own outputs"
        return objective.to(x) if owner is None else objective.part(owner).to(x)
    rows = number_tensor(objective, "objective")
    count = x.shape[0] if owner is None else owner.shape[0]
    flattened = _flattened_rows(rows, shape, count)
    if flattened is None:
        whole = "" if len(shape) == 1 else f", or the same with {list(shape)} in place of {size}"
        raise InvalidInputError(
            f"objective has the shape {tuple(rows.shape)}; expected [S, {size}] or [{count}, S, {size}]{whole}"
        )
    if flattened.shape[-2] == 0:
        raise InvalidInputError("objective has no rows, so there is nothing to bound")
    require(finite(flattened), lambda: InvalidInputError("objective holds NaN or infinity"))
    made = DenseObjective(flattened)
    if flattened.dtype != x.dtype and not made.fits(x.dtype):
        raise InvalidInputError(
            f"objective holds numbers that are too small or too large for {x.dtype}; multiply it by a factor, or give "
            "x in float64"
        )
    return made.to(x)


def _flattened_rows(rows: Tensor, shape: tuple[int, ...], samples: int) -> Tensor | None:
    """Rows `[S, K]` or `[N or 1, S, K]` of coefficients with the outputs' axes or one; None where they do not fit."""
    size = torch.Size(shape).numel()
    for ending in ((size,), shape):
        lead = rows.dim() - len(ending)
        if tuple(rows.shape[max(lead, 0) :]) != ending:
            continue
        if lead == 1 or (lead == 2 and rows.shape[0] in (1, samples)):
            return rows.reshape(*rows.shape[:lead], size)
    return None
