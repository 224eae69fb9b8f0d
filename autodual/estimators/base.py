"""The contract of estimators, which compute the norm of a vector from its inner products with random columns.

Of a vector ν of any length only R products v_c = ⟨ν, X_c⟩ are known, with columns X_c of independent random numbers of
a stable distribution: v_c is distributed as ‖ν‖·X for one such number X, with the l1 norm for Cauchy and the l2 norm
for normal numbers. Estimators know nothing of sets, graphs or passes.
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
    """An estimate of ‖ν‖ from its products with random columns.

    Args:
        rows: R, the number of products.

    Example:
        >>> import torch
        >>> from autodual.estimators import GaussianNorm, Stream
        >>> estimator = GaussianNorm(rows=1000)
        >>> columns = estimator.columns(Stream(("example",)), (50,), 0, 0, 1000, torch.empty(0))
        >>> estimate = estimator.norm(columns @ torch.ones(50))
        >>> bool((estimate / 50**0.5 - 1).abs() < 0.1), 1 < estimator.inflation(1e-6) < 1.2
        (True, True)
    """

    #: Which norm is estimated: 1 or 2.
    order: ClassVar[int]

    rows: int

    def columns(
        self, stream: Stream, shape: Sequence[int], offset: int, first: int, count: int, like: Tensor
    ) -> Tensor:
        """Some of the random columns, `[count, *shape]`.

        They hold independent numbers of the distribution that is stable for the norm's order. The same stream gives the
        same columns, however they are cut.

        Args:
            stream: the source of random numbers.
            shape: the shape of the part of ν for which columns are wanted.
            offset: the flat coordinate of ν at which this part begins.
            first: the first column.
            count: the number of columns.
            like: a tensor of their dtype on their device.
        """
        draw = {1: stream.cauchy, 2: stream.normal}[self.order]
        return draw(shape, self.rows, first, count, like)

    @abstractmethod
    def norm(self, products: Tensor) -> Tensor:
        """The estimates `[*]`; never negative, NaN where a product is.

        Args:
            products: all products ⟨ν, X_c⟩, `[rows, *]`.
        """

    def inflation(self, failure: float) -> float:
        """The factor 1/(1 - ε) ≥ 1 with P(estimate/(1 - ε) < ‖ν‖) ≤ failure; infinite if no ε < 1 is known to hold.

        Args:
            failure: the probability with which a raised estimate may fall short, in [0, 1].
        """
        return math.inf


class AdditiveEstimator(Estimator):
    """An estimator that sums one term per product, so that it need not see all products at once."""

    @abstractmethod
    def term(self, products: Tensor) -> Tensor:
        """What each of the `products` `[count, *]` adds to the total."""

    @abstractmethod
    def from_total(self, total: Tensor) -> Tensor:
        """The estimates `[*]`, from the `total` `[*]` of all terms."""

    def norm(self, products: Tensor) -> Tensor:
        return self.from_total(self.term(products).sum(0))


class SelectingEstimator(Estimator):
    """An estimator that must see all products at once. Its gradient is that of a sum of selected magnitudes, scaled to
    the estimate: norm · Σ selected |v| / Σ selected |v|, where only the first sum is differentiated.
    """

    @abstractmethod
    def selected(self, products: Tensor, norm: Tensor) -> Tensor:
        """The mask of `products` `[count, *]` through which the gradient of their `norm` `[*]` flows."""


def smallest(failure: float, exponent, upper: float) -> float:
    """The least s in (0, `upper`] with exp(-`exponent`(s)) ≤ `failure`, for a growing exponent; infinite if none.

    Rounded up: the inequality has been checked for the number returned.
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
