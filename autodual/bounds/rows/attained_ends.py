"""Bounds of rows by the ends of intervals, which pay for the rounding of what is computed with these ends, and no more.

The bounds of `concretise` pay for rounding relative to all that a node could be. So a row that asks for a ReLU's zero
would end below zero, by what rounding a large value might have cost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    products = _side_by_side([flat(values * ends, 2) for values, ends in pending])
    # Zeros add nothing, and so no rounding.
    counted = _side_by_side([flat(ends != 0, 2) for _, ends in pending])
    terms = _side_by_side([progress.centre.unsqueeze(2), products])
    lower, size, tiny = terms.sum(2), terms.abs().sum(2), torch.finfo(terms.dtype).tiny
    charged = state.error_factor(terms.shape[2]) * size + counted.sum(2, dtype=terms.dtype) * tiny
    kept = ((products.abs() >= tiny) | ~counted).all(2)
    moved = _only_powers_of_two(_side_by_side([flat(values, 2) for values, _ in pending]))
    charged = torch.where(kept & moved & _summed_exactly(terms, size), 0.0, charged)
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


def _side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """Parts `[G or 1, K, T]` as one tensor, whose last axis is all of theirs."""
    groups = max(part.shape[0] for part in parts)
    return torch.cat([part.expand(groups, *part.shape[1:]) for part in parts], 2)


def _only_powers_of_two(entries: Tensor) -> Tensor:
    """Mask of rows `[G, K, T]` whose entries are zero or powers of two: products with them are exact."""
    return ((entries.frexp().mantissa.abs() == 0.5) | (entries == 0)).all(2)


def _summed_exactly(terms: Tensor, size: Tensor) -> Tensor:
    """Mask of sums of terms `[G, K, T]` in which nothing is rounded; size `[G, K]`: the sum of magnitudes.

    All terms are multiples of the unit of the last bit that one of them has. So is every partial sum, and it is a
    number of the dtype while it is small enough in that unit.
    """
    digits = 1 - round(math.log2(torch.finfo(terms.dtype).eps))
    mantissa, exponent = terms.frexp()
    whole = torch.ldexp(mantissa, torch.tensor(digits, device=terms.device)).to(torch.int64)
    last_bit = (whole & -whole).to(terms.dtype)
    unit = torch.ldexp(last_bit, exponent - digits)
    return size < 2.0 ** (digits - 1) * torch.where(terms == 0, torch.inf, unit).amin(2)
