"""The robust loss: an upper bound of the worst-case loss over the perturbation set (Theorem 2)."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as functional
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.network import DualNetwork
from autodual.perturbations import PerturbationSet
from autodual.policies import SlopePolicy
from autodual.train.clean_pass import clean_pass, tracking_norms


def robust_loss(
    dual: DualNetwork,
    x: Tensor,
    labels: Tensor,
    ball: PerturbationSet,
    *,
    slopes: SlopePolicy = "shared",
    known: Mapping[str, Interval] | None = None,
    reduction: str = "mean",
    batch_statistics: bool = False,
) -> Tensor:
    """Cross-entropy of -J, an upper bound of the cross-entropy at every point of the set around x `[N, *shape]`.

    Cross-entropy is translation invariant and grows in every other class' logit, so the loss at f(z) is that at f_j -
    f_y, and at most that at -J_j ≥ f_j - f_y (Property 1, Theorem 2). A scalar, or `[N]` with reduction="none";
    differentiable in the parameters, x and the set's radius.

    batch_statistics: batch norms normalise by the mean and variance of the clean batch x instead of their running ones,
    which learn from the same pass. That is the thesis' heuristic for training deep networks: the value then bounds the
    loss of a network so normalised, which is *not* the network that inference runs. Never report it as a guarantee.
    """
    if batch_statistics and not tracking_norms(dual.model):
        raise InvalidInputError("batch statistics need a model with batch norm that tracks running statistics")
    with dual.substituting(clean_pass(dual.model, x).statistics if batch_statistics else {}):
        margins = dual.margins(x, labels, ball, slopes=slopes, known=known)
    return functional.cross_entropy(-margins, labels, reduction=reduction)
