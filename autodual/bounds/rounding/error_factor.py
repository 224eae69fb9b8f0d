"""Upper bounds of rounding error, after Higham, *Accuracy and Stability of Numerical Algorithms*, section 3.

A sum of n products, in any order, is off by at most γ_n Σ|a_i b_i| with γ_n = n·u/(1 - n·u). A row ν that was pulled
through y = Ax + b with such an error still bounds the network if the bound is lowered by γ ⟨|ν|, |A|·M + |b|⟩, where M
bounds |x| over the perturbation set: the error in Aᵀν meets x, and is paid for where it arises. The same holds at every
node, so the whole error of a bound is a sum of such terms, gathered while the rows travel (see `docs/mathematics.md`,
section "Rounding").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Roundings beside the longest sum: conversions and folding of weights, accumulation over layers, fused products.
_OVERHEAD = 32
# The error terms are themselves computed in floating point, each with a relative error far below one.
_SAFETY = 2.0


def error_factor(terms: int, dtype: torch.dtype) -> float:
    """γ for sums of `terms` products, with room for the roundings around them; infinite where it proves nothing."""
    unit = torch.finfo(dtype).eps / 2
    total = (terms + _OVERHEAD) * unit
    return _SAFETY * total / (1 - total) if total < 0.5 else float("inf")


@dataclass(frozen=True, eq=False)
class Debt:
    """What rounding at one node costs a row ν: ⟨|ν|, magnitude⟩ + floor.

    magnitude: `[N, *shape]`. floor: `[N]`, what underflow costs, whatever the row.
    """

    magnitude: Tensor
    floor: Tensor


def underflow(terms: int, magnitudes: Sequence[Tensor], outputs: int, like: Tensor) -> Tensor:
    """`[N]`: what products that vanish may cost at a node, with inputs at most `magnitudes` `[N or 1, *shape]` large.

    A product is off by less than the smallest normal number, also where subnormal ones are flushed to zero. In Aᵀν that
    meets the inputs, in ⟨ν, b⟩ there is one product an output.
    """
    total = sum((magnitude.reshape(magnitude.shape[0], -1).sum(1) for magnitude in magnitudes), like.new_zeros(1))
    return _SAFETY * (terms + _OVERHEAD) * torch.finfo(total.dtype).tiny * (total + outputs)
