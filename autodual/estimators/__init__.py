"""Estimators: norms of vectors from their inner products with a few random columns."""

from autodual.estimators.base import AdditiveEstimator, Estimator, SelectingEstimator
from autodual.estimators.cauchy import CauchyGeometricMean, CauchyMedian
from autodual.estimators.exact import ExactL1, ExactL2
from autodual.estimators.gaussian import GaussianNorm
from autodual.estimators.random_streams import BLOCK, Stream

__all__ = [
    "BLOCK",
    "AdditiveEstimator",
    "CauchyGeometricMean",
    "CauchyMedian",
    "Estimator",
    "ExactL1",
    "ExactL2",
    "GaussianNorm",
    "SelectingEstimator",
    "Stream",
]
