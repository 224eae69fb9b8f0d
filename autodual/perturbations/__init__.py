"""Perturbation sets: which inputs around a sample count as the same, and what is the worst of them for a linear function."""

from autodual.perturbations.balls import L1Ball, L2Ball, LinfBall, LpBall, NormBall
from autodual.perturbations.base import PerturbationSet, Region
from autodual.perturbations.box import Box
from autodual.perturbations.view import View, WholeView

__all__ = [
    "Box",
    "L1Ball",
    "L2Ball",
    "LinfBall",
    "LpBall",
    "NormBall",
    "PerturbationSet",
    "Region",
    "View",
    "WholeView",
]
