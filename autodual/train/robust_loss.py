"""The robust loss: an upper bound of the worst-case loss over the perturbation set (Theorem 2)."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as functional
from torch import Tensor

from autodual.interval import Interval
from autodual.network import DualNetwork
from autodual.perturbations import PerturbationSet
from autodual.policies import SlopePolicy
from autodual.train.batch_statistics import batch_statistics as clean_statistics


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
    statistics = clean_statistics(dual.model, x) if batch_statistics else {}
    with dual.substituting(statistics):
        margins = dual.margins(x, labels, ball, slopes=slopes, known=known)
    return functional.cross_entropy(-margins, labels, reduction=reduction)
