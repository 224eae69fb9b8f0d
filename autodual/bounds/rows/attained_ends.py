"""Bounds of rows by the ends of intervals, which pay for the rounding of what is computed with these ends, and no more.

The bounds of `concretise` pay for rounding relative to all that a node could be. So a row that asks for a ReLU's zero
would end below zero, by what rounding a large value might have cost.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.bounds.rows.pull import Progress
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.rows import Rows
from autodual.interval import Interval
from autodual.tensors import flat


def attained(state: BoundState, progress: Progress) -> Tensor:
    """Lower bounds `[G, K]` of rows that wait at nodes before the inputs; NaN where an end that counts is no number."""
    pending = [_coefficients_and_ends(state.interval(name), rows.crop()) for name, rows in progress.pending.items()]
    products = [flat(values * ends, 2) for values, ends in pending]
    terms = sum(state.graph[name].size for name in progress.pending)
    lower = progress.centre + sum(product.sum(2) for product in products)
    size = progress.centre.abs() + sum(product.abs().sum(2) for product in products)
    tiny = torch.finfo(lower.dtype).tiny
    charged = state.error_factor(terms) * size + terms * tiny
    if len(pending) == 1:
        # One product with a power of two, added to nothing, is not rounded, but where it is too small for the dtype.
        ((values, ends),) = pending
        held = (size >= tiny) | flat(ends == 0, 2).all(2)
        charged = torch.where(_moves(values) & (progress.centre == 0) & held, 0.0, charged)
    for paid in (progress.width, progress.error):
        charged = charged if paid is None else charged + paid
    return lower - charged


def _coefficients_and_ends(interval: Interval, rows: Rows) -> tuple[Tensor, Tensor]:
    """Rows `[G, K, …]`, and for each entry the end of the interval that its sign asks for; 0 for entries that are
    zero.
    """
    values = rows.values
    ends = torch.where(values > 0, rows.features(interval.lower), rows.features(interval.upper))
    return values, torch.where(values == 0, 0.0, ends)


def _moves(values: Tensor) -> Tensor:
    """Mask of rows `[G, K, …]` with one nonzero entry, a power of two: a product with them is exact."""
    entries = flat(values, 2)
    powers = (entries.frexp().mantissa.abs() == 0.5).sum(2)
    return (powers <= 1) & (powers == (entries != 0).sum(2))
