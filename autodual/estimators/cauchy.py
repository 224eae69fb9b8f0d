"""Estimates of l1 norms from products with Cauchy columns (section 3.4.5 of the thesis; Li, Hastie and Church, *JMLR*
8, 2007).
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from autodual.estimators.base import AdditiveEstimator, SelectingEstimator, smallest
from autodual.estimators.selection import middle_half, middle_magnitude


class CauchyMedian(SelectingEstimator):
    """The median of |v|, since the median of |Cauchy| is 1: for training, where errors of either sign matter alike.

    For an even number of rows it is the mean of the two middle ones: the lower of them alone underestimates in 62 % of
    all cases at ten rows. The median falls short half the time, so it is no bound.

    Example:
        >>> import torch
        >>> from autodual.estimators import CauchyMedian
        >>> CauchyMedian(rows=3).norm(torch.tensor([[1.0], [-4.0], [2.0]]))
        tensor([2.])
    """

    order: ClassVar[int] = 1

    def norm(self, products: Tensor) -> Tensor:
        return middle_magnitude(products)

    def selected(self, products: Tensor, norm: Tensor) -> Tensor:
        return middle_half(products, norm)


class CauchyGeometricMean(AdditiveEstimator):
    """(Π |v|)^(1/R), which falls far short so rarely that bounds of high probability can use it.

    log|Cauchy| has the mean 0, and E|Cauchy|^(-t) = 1/cos(πt/2), so Chernoff's bound is P(estimate ≤ (1 - ε)‖ν‖) ≤
    exp(R t log(1 - ε)) / cos(πt/2)^R for every t in [0, 1). The best one has tan(πt/2) = a = -(2/π) log(1 - ε), which
    leaves exp(-R·(a·atan a - ½ log(1 + a²))): equation 3.92. A bias correction would break this, so there is none.

    Example:
        >>> import torch
        >>> from autodual.estimators import CauchyGeometricMean
        >>> CauchyGeometricMean(rows=2).norm(torch.tensor([[1.0], [-4.0]]))
        tensor([2.])
        >>> 1 < CauchyGeometricMean(rows=1000).inflation(1e-6) < 1.4
        True
    """

    order: ClassVar[int] = 1

    def term(self, products: Tensor) -> Tensor:
        magnitudes = products.abs()
        zero = magnitudes == 0
        # Never log(0), whose derivative would turn all gradients before it into NaN.
        return torch.where(zero, -torch.inf, torch.where(zero, 1.0, magnitudes).log())

    def from_total(self, total: Tensor) -> Tensor:
        return (total / self.rows).exp()

    def inflation(self, failure: float) -> float:
        a = smallest(failure, lambda a: self.rows * rate(a), upper=400.0)
        return a if a == math.inf else math.exp(math.pi * a / 2)


def rate(a: float) -> float:
    """r(ε) for `a` = -(2/π) log(1 - ε); its series near 0, where the difference cancels."""
    return a * a / 2 - a**4 / 12 if a < 1e-4 else a * math.atan(a) - math.log1p(a * a) / 2
