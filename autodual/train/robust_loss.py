"""The robust loss: an upper bound of the worst-case loss over the perturbation set (Theorem 2)."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as functional
from torch import Tensor

from autodual.interval import Interval
from autodual.network import DualNetwork
from autodual.perturbations import PerturbationSet
from autodual.policies import SlopePolicy


def robust_loss(
    dual: DualNetwork,
    x: Tensor,
    labels: Tensor,
    ball: PerturbationSet,
    *,
    slopes: SlopePolicy = "shared",
    known: Mapping[str, Interval] | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Cross-entropy of -J, an upper bound of the cross-entropy at every point of the set around x `[N, *shape]`.

    Cross-entropy is translation invariant and grows in every other class' logit, so the loss at f(z) is that at f_j -
    f_y, and at most that at -J_j ≥ f_j - f_y (Property 1, Theorem 2). A scalar, or `[N]` with reduction="none";
    differentiable in the parameters, x and the set's radius.
    """
    return functional.cross_entropy(
        -dual.margins(x, labels, ball, slopes=slopes, known=known), labels, reduction=reduction
    )
