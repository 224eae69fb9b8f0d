"""Estimates of l2 norms from products with normal columns (section 3.4.5 of the thesis; Johnson-Lindenstrauss)."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from autodual.estimators.base import AdditiveEstimator, smallest
from autodual.estimators.exact import root


class GaussianNorm(AdditiveEstimator):
    """√(Σ v² / R): R·estimate²/‖ν‖² has a chi-squared distribution of R degrees of freedom.

    Its lower tail by Chernoff's bound: P(estimate² ≤ s‖ν‖²) ≤ exp(-R (s - 1 - log s) / 2) for s ≤ 1.

    Example:
        >>> import torch
        >>> from autodual.estimators import GaussianNorm
        >>> GaussianNorm(rows=2).norm(torch.tensor([[1.0], [-1.0]]))
        tensor([1.])
    """

    order: ClassVar[int] = 2

    def norm(self, products: Tensor) -> Tensor:
        return torch.linalg.vector_norm(products, dim=0) / math.sqrt(self.rows)

    def term(self, products: Tensor) -> Tensor:
        return products.square()

    def from_total(self, total: Tensor) -> Tensor:
        return root(total / self.rows)

    def inflation(self, failure: float) -> float:
        # With s = exp(-q): s - 1 - log s = expm1(-q) + q.
        q = smallest(failure, lambda q: self.rows * (math.expm1(-q) + q) / 2, upper=1000.0)
        return q if q == math.inf else math.exp(q / 2)
