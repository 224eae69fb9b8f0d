"""Losses over one interface, `loss(dual, x, labels, perturbation)`; each is a frozen dataclass of its options."""

from autodual.train.losses.attacked_loss import AttackedLoss
from autodual.train.losses.base import Judgement, Loss
from autodual.train.losses.batch import Batch
from autodual.train.losses.bounded import BoundedLoss, CrownIbp, IntervalBound, Robust
from autodual.train.losses.clean import Clean
from autodual.train.losses.criteria import CRITERIA, Criterion, cross_entropy, hinge
from autodual.train.losses.free import FreeLoss
from autodual.train.losses.multi_step import Adversarial, MultiSteepest, PgdLoss
from autodual.train.losses.named_losses import named_loss
from autodual.train.losses.regularised import Regularised
from autodual.train.losses.single_step import FgsmLoss, NFgsmLoss, RFgsmLoss
from autodual.train.losses.small_boxes import MtlIbp, SmallBoxes
from autodual.train.losses.trades import TradesLoss

__all__ = [
    "CRITERIA",
    "Adversarial",
    "AttackedLoss",
    "Batch",
    "BoundedLoss",
    "Clean",
    "Criterion",
    "CrownIbp",
    "FgsmLoss",
    "FreeLoss",
    "IntervalBound",
    "Judgement",
    "Loss",
    "MtlIbp",
    "MultiSteepest",
    "NFgsmLoss",
    "PgdLoss",
    "RFgsmLoss",
    "Regularised",
    "Robust",
    "SmallBoxes",
    "TradesLoss",
    "cross_entropy",
    "hinge",
    "named_loss",
]
