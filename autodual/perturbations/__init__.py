"""Perturbation sets: the inputs around a sample that must be safe, and the worst of them for a linear function."""

from autodual.perturbations.balls import L1Ball, L2Ball, LinfBall, LpBall, NormBall
from autodual.perturbations.base import CentredNorms, PerturbationSet, Region, WeightedNorm, perturbation_set
from autodual.perturbations.box import Box
from autodual.perturbations.product import ProductSet
from autodual.perturbations.view import View, WholeView

__all__ = [
    "Box",
    "CentredNorms",
    "L1Ball",
    "L2Ball",
    "LinfBall",
    "LpBall",
    "NormBall",
    "PerturbationSet",
    "ProductSet",
    "Region",
    "View",
    "WeightedNorm",
    "WholeView",
    "perturbation_set",
]
