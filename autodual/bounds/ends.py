"""Bounds of rows by the ends of intervals, which pay for the rounding of what is computed with these ends, and no more.

The bounds of `concretise` pay for rounding relative to all that a node could be. So a row that asks for a ReLU's zero
would end below zero, by what rounding a large value might have cost.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.bounds.pull import Progress
from autodual.bounds.state import BoundState
from autodual.dual.rows import Rows
from autodual.interval import Interval


def attained(state: BoundState, progress: Progress) -> Tensor:
    """Lower bounds `[G, K]` of rows that wait at nodes before the inputs; NaN where an end that counts is no number."""
    found = [_by_ends(state.intervals[name], rows.crop()) for name, rows in progress.pending.items()]
    terms = sum(state.graph[name].size for name in progress.pending)
    lower = progress.centre + sum(least for least, _ in found)
    size = progress.centre.abs() + sum(largest for _, largest in found)
    charged = state.error_factor(terms) * size + terms * torch.finfo(lower.dtype).tiny
    # One product with a power of two, added to nothing, is not rounded.
    (only,) = progress.pending.values() if len(found) == 1 else (None,)
    if only is not None:
        alone = _moves(only.crop().values) & (progress.centre == 0)
        charged = torch.where(alone, 0.0, charged)
    for paid in (progress.width, progress.error):
        charged = charged if paid is None else charged + paid
    return lower - charged


def _by_ends(interval: Interval, rows: Rows) -> tuple[Tensor, Tensor]:
    """The least values of rows over an interval, and the sums of their terms' sizes, `[G, K]`."""
    values = rows.values
    ends = torch.where(values > 0, rows.features(interval.lower), rows.features(interval.upper))
    # An end that a row does not ask for may be infinite.
    products = torch.where(values == 0, 0.0, values * ends).flatten(2)
    return products.sum(2), products.abs().sum(2)


def _moves(values: Tensor) -> Tensor:
    """Where rows `[G, K, …]` are zero but for one power of two, so that a product with them only moves an end."""
    flat = values.flatten(2)
    powers = (flat.frexp().mantissa.abs() == 0.5).sum(2)
    return (powers <= 1) & (powers == (flat != 0).sum(2))
