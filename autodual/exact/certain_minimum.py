"""A proof that a linear function is at least so large on a program: weak duality, rounding included.

For any multipliers y of the rows, every x of the program has, with d = c - Aᵀy,

    c·x  =  y·(Ax) + d·x  ≥  Σᵢ min(yᵢ·lowerᵢ, yᵢ·upperᵢ) + Σⱼ min(dⱼ·lowerⱼ, dⱼ·upperⱼ).

So whatever a solver returns as multipliers proves a bound: a solver's tolerances and mistakes cost tightness, never
truth. The solver's own objective is not used.
"""

from __future__ import annotations

import math

import numpy
import torch

from autodual.bounds.rounding.error_factor import error_factor
from autodual.exact.linear_program import Array, Program

_TINY = float(numpy.finfo(float).tiny)


def certain_minimum(program: Program, cost: Array, multipliers: Array, lower: Array, upper: Array) -> float:
    """A lower bound of cost · x over the points of a program whose columns lie between `lower` and `upper`.

    The rounding of this computation and of the program's coefficients is subtracted, γ_n Σ|a_i b_i| for each sum of n
    products. Minus infinity where something is not finite.
    """
    y = _usable(program, multipliers)
    counts = numpy.diff(program.starts)
    products = program.values * numpy.repeat(y, counts)
    pulled = numpy.bincount(program.columns, products, minlength=program.width)
    pulled_size = numpy.bincount(program.columns, numpy.abs(products), minlength=program.width)
    residual, size = cost - pulled, numpy.abs(cost) + pulled_size
    reach = numpy.maximum(numpy.abs(lower), numpy.abs(upper))
    with numpy.errstate(invalid="ignore", over="ignore"):
        at_columns = numpy.minimum(residual * lower, residual * upper)
        at_rows = numpy.where(y > 0, y * program.row_lower, numpy.where(y < 0, y * program.row_upper, 0.0))
        longest = int(numpy.bincount(program.columns, minlength=1).max(initial=1))
        error = error_factor(longest + 2, torch.float64) * float((size * reach).sum())
        error += (1 + error_factor(len(y), torch.float64)) * float((numpy.abs(y) * program.allowance).sum())
        # Every product above is rounded once, and so are the sums; `fsum` itself rounds once more.
        error += error_factor(4, torch.float64) * float(numpy.abs(at_columns).sum() + numpy.abs(at_rows).sum())
        error += 8 * _TINY * (len(program.values) + program.width) * (1 + float(reach.max(initial=0.0)))
        total = [*at_rows.tolist(), *at_columns.tolist(), -error]
    if not all(map(math.isfinite, total)):
        return -math.inf
    return float(numpy.nextafter(math.fsum(total), -math.inf))


def _usable(program: Program, multipliers: Array) -> Array:
    """The multipliers, but 0 where a row has no end on the side that they stand for, or a solver returned no number."""
    y = numpy.nan_to_num(numpy.asarray(multipliers, float), nan=0.0, posinf=0.0, neginf=0.0)
    endless = ((y > 0) & numpy.isneginf(program.row_lower)) | ((y < 0) & numpy.isposinf(program.row_upper))
    return numpy.where(endless, 0.0, y)
