"""Attacks: searches for points that refute a specification, and the check that a point does refute it."""

from autodual.attacks.apgd import Apgd
from autodual.attacks.ascent import Ascent
from autodual.attacks.attacked_sample import AttackedSample, Robustness
from autodual.attacks.base import Attack, counterexamples
from autodual.attacks.ensemble import Ensemble, Standard
from autodual.attacks.fgsm import Fgsm, RandomFgsm, RFgsm
from autodual.attacks.frank_wolfe import FrankWolfe
from autodual.attacks.gradient_attack import GradientAttack
from autodual.attacks.members import attack_members
from autodual.attacks.multi_steepest import Msd
from autodual.attacks.objectives import OBJECTIVES, CrossEntropy, Dlr, KlToClean, Margin, Objective, Targeted
from autodual.attacks.outcome import broken
from autodual.attacks.pgd import Mim, Pgd
from autodual.attacks.projected_sinkhorn import ProjectedSinkhorn
from autodual.attacks.registered_attacks import ATTACKS, named_attack
from autodual.attacks.robust_error import evaluate
from autodual.attacks.sparse_ascent import AdaptiveSparse, SparseSteepest
from autodual.attacks.square import Square
from autodual.attacks.starts import (
    STARTS,
    Gaussian,
    Given,
    Hypercube,
    Outward,
    Previous,
    Scattered,
    Start,
    Uniform,
    Zero,
)
from autodual.attacks.step_kinds import (
    Customary,
    Euclidean,
    Momentum,
    Natural,
    Sign,
    SparseL1,
    Steepest,
    Step,
    ToWorst,
    UncutSteepest,
)
from autodual.attacks.step_sizes import Adaptive, Fixed, StepSize
from autodual.attacks.walks import Harmonic, LineSearch
from autodual.attacks.worst_member import WorstMember

__all__ = [
    "ATTACKS",
    "OBJECTIVES",
    "STARTS",
    "Adaptive",
    "AdaptiveSparse",
    "Apgd",
    "Ascent",
    "Attack",
    "AttackedSample",
    "CrossEntropy",
    "Customary",
    "Dlr",
    "Ensemble",
    "Euclidean",
    "Fgsm",
    "Fixed",
    "FrankWolfe",
    "Gaussian",
    "Given",
    "GradientAttack",
    "Harmonic",
    "Hypercube",
    "KlToClean",
    "LineSearch",
    "Margin",
    "Mim",
    "Momentum",
    "Msd",
    "Natural",
    "Objective",
    "Outward",
    "Pgd",
    "Previous",
    "ProjectedSinkhorn",
    "RFgsm",
    "RandomFgsm",
    "Robustness",
    "Scattered",
    "Sign",
    "SparseL1",
    "SparseSteepest",
    "Square",
    "Standard",
    "Start",
    "Steepest",
    "Step",
    "StepSize",
    "Targeted",
    "ToWorst",
    "UncutSteepest",
    "Uniform",
    "WorstMember",
    "Zero",
    "attack_members",
    "broken",
    "counterexamples",
    "evaluate",
    "named_attack",
]
