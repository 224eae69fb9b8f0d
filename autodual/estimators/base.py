"""What an estimator is: how the norm of a vector is told from its inner products with random columns.

A vector ν of any length is seen through R products v_c = ⟨ν, X_c⟩ with columns X_c of independent random numbers, whose
distribution is stable: v_c is distributed as ‖ν‖·X for one such number X, with the l1 norm for Cauchy and the l2 norm
for normal numbers. Estimators know of no sets, graphs or passes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from autodual.estimators.random_streams import Stream


@dataclass(frozen=True)
class Estimator(ABC):
    """An estimate of ‖ν‖ of this `order` from `rows` products."""

    #: 1 or 2: of the norm that is estimated.
    order: ClassVar[int]

    rows: int

    def columns(
        self, stream: Stream, shape: Sequence[int], offset: int, first: int, count: int, like: Tensor
    ) -> Tensor:
        """Columns first to first + count, `[count, *shape]`, at coordinates of ν that begin at `offset`.

        Independent numbers of the law that is stable for the norm's order. The same stream gives the same columns,
        however they are cut. dtype and device are those of `like`.
        """
        draw = {1: stream.cauchy, 2: stream.normal}[self.order]
        return draw(shape, self.rows, first, count, like)

    @abstractmethod
    def norm(self, products: Tensor) -> Tensor:
        """The estimates `[*]` from all products `[rows, *]`; never negative, NaN where a product is."""

    def inflation(self, failure: float) -> float:
        """1/(1 - ε) ≥ 1 such that P(estimate/(1 - ε) < ‖ν‖) ≤ failure; infinite where no ε < 1 is known to do."""
        return math.inf


class AdditiveEstimator(Estimator):
    """An estimator that need not see all products at once."""

    @abstractmethod
    def term(self, products: Tensor) -> Tensor:
        """What each product `[count, *]` adds to the total."""

    @abstractmethod
    def from_total(self, total: Tensor) -> Tensor:
        """The estimates `[*]` from the totals over all rows."""

    def norm(self, products: Tensor) -> Tensor:
        return self.from_total(self.term(products).sum(0))


class SelectingEstimator(Estimator):
    """An estimator that must see all products at once, and whose gradient is that of the scaled sum of magnitudes of
    some: norm · Σ selected |v| / Σ selected |v|, where only the first sum is differentiated.
    """

    @abstractmethod
    def selected(self, products: Tensor, norm: Tensor) -> Tensor:
        """Which products `[count, *]` the gradient of a norm `[*]` flows through."""


def smallest(failure: float, exponent, upper: float) -> float:
    """The least s in (0, upper] with exp(-exponent(s)) ≤ failure, for a growing exponent; infinite where there is none.

    Rounded up: what is returned has been tried.
    """
    if failure <= 0:
        return math.inf
    needed = -math.log(failure)
    if not exponent(upper) >= needed:
        return math.inf
    low, high = 0.0, upper
    for _ in range(200):
        middle = (low + high) / 2
        if exponent(middle) >= needed:
            high = middle
        else:
            low = middle
    return high
