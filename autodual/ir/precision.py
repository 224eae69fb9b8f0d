"""The floating types in which a network is run, as far as rounding errors depend on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """Unit roundoff, smallest normal and largest number of the dtype in which a network is run.

    If a network mixes dtypes, each number is the worst among them: bfloat16 has fewer digits than float16, and float16
    has the smaller range.
    """

    unit: float
    tiny: float
    largest: float

    @classmethod
    def of(cls, *dtypes: torch.dtype) -> Precision:
        """The worst numbers of some dtypes.

        Args:
            dtypes: floating dtypes, at least one.

        Example:
            >>> import torch
            >>> from autodual.dual import Precision
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
        """Largest error of a sum of products, relative to Σ|terms|, in any order: (1 + u)^p(1 + (n - 1)u) - 1.

        It may be summed in any order, also in parts: the error (1 + (m - 1)u)(1 + (k - 1)u) - 1 of m parts of k terms
        is at most (mk - 1)u. This bound holds for every n.

        Args:
            summands: n, the number of terms.
            factors: p, the number of roundings that a term goes through besides those of the sum.

        Example:
            >>> import torch
            >>> from autodual.dual import Precision
            >>> Precision.of(torch.float32).off(summands=1, factors=0)
            0.0
        """
        return math.expm1(factors * math.log1p(self.unit) + math.log1p((summands - 1) * self.unit)) * (1 + 2.0**-40)

    def gamma(self, roundings: int) -> float:
        """`off` for terms that go through `roundings` roundings in all, of which at most four are not the sum's.

        Args:
            roundings: the number of roundings, at least 1.

        Example:
            >>> import torch
            >>> from autodual.dual import Precision
            >>> 100 * 2**-24 <= Precision.of(torch.float32).gamma(100) < 101 * 2**-24
            True
        """
        return self.off(max(roundings - 3, 1), min(roundings, 4))
