"""The floating types in which a network is run, as far as rounding errors depend on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """Unit roundoff, smallest normal and largest number of the dtype in which a network is run.

    Of a network that mixes dtypes, each is the worst among them: bfloat16 has fewer digits than float16, and float16
    the smaller range.
    """

    unit: float
    tiny: float
    largest: float

    @classmethod
    def of(cls, *dtypes: torch.dtype) -> Precision:
        """The worst of some dtypes.

        Example:
            >>> mixed = Precision.of(torch.float16, torch.bfloat16)
            >>> mixed.unit == 2**-8, mixed.largest
            (True, 65504.0)
        """
        limits = [torch.finfo(dtype) for dtype in dtypes]
        return cls(
            max(limit.eps for limit in limits) / 2,
            max(limit.tiny for limit in limits),
            min(limit.max for limit in limits),
        )

    def off(self, summands: int, factors: int) -> float:
        """By what share of Σ|terms| a sum of products is off at most, whatever the order: (1 + u)^p(1 + (n - 1)u) - 1.

        summands: n, how many terms it has. factors: p, how many roundings a term goes through beside those of its sum.
        It may be summed in any order, in parts, each multiplied once more: what parts of m and of k terms are off by is
        (1 + (m - 1)u)(1 + (k - 1)u) - 1, no more than (mk - 1)u. There is no n for which it says nothing.
        """
        return math.expm1(factors * math.log1p(self.unit) + math.log1p((summands - 1) * self.unit)) * (1 + 2.0**-40)

    def gamma(self, roundings: int) -> float:
        """The same for a term that goes through so many roundings in all, of which no more than four are no sum's."""
        return self.off(max(roundings - 3, 1), min(roundings, 4))
