"""Losses over one interface, `loss(dual, x, labels, perturbation)`; each is a frozen dataclass of its options."""

from autodual.train.losses.adversarial import Adversarial, MtlIbp, MultiSteepest, SmallBoxes
from autodual.train.losses.base import Loss
from autodual.train.losses.batch import Batch
from autodual.train.losses.bounded import BoundedLoss, CrownIbp, IntervalBound, Robust
from autodual.train.losses.clean import Clean
from autodual.train.losses.criteria import CRITERIA, Criterion, cross_entropy, hinge
from autodual.train.losses.named_losses import named_loss
from autodual.train.losses.regularised import Regularised

__all__ = [
    "CRITERIA",
    "Adversarial",
    "Batch",
    "BoundedLoss",
    "Clean",
    "Criterion",
    "CrownIbp",
    "IntervalBound",
    "Loss",
    "MtlIbp",
    "MultiSteepest",
    "Regularised",
    "Robust",
    "SmallBoxes",
    "cross_entropy",
    "hinge",
    "named_loss",
]
