"""The robust loss: an upper bound of the worst-case loss over the perturbation set (Theorem 2)."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor
from typing_extensions import Unpack

from autodual.errors import InvalidInputError
from autodual.inputs import Labels, Samples
from autodual.network import Ask, DualNetwork, given_network
from autodual.network.ask_options import ProofOptions
from autodual.network.keywords import takes
from autodual.perturbations import PerturbationSet
from autodual.policies import IGNORED
from autodual.tensors import flat
from autodual.train.clean_pass import in_mode, tracking_norms
from autodual.train.limits import require
from autodual.train.losses.batch import Batch, UnionPolicy


@takes(ProofOptions, slopes="shared", inner="dual", last="dual")
def robust_loss(
    dual: DualNetwork,
    x: Samples,
    labels: Labels,
    ball: PerturbationSet,
    *,
    reduction: str = "mean",
    union: UnionPolicy = "worst",
    batch_statistics: bool | None = None,
    ask: Ask | None = None,
    **options: Unpack[ProofOptions],
) -> Tensor:
    """Cross-entropy of -J, an upper bound of the cross-entropy at every point of the set around x `[N, *shape]`.

    Cross-entropy is translation invariant and grows in every other class' logit, so the loss at f(z) is that at f_j -
    f_y, and at most that at -J_j ≥ f_j - f_y (Property 1, Theorem 2). A scalar, or `[N]` with reduction="none";
    differentiable in the parameters, x and the set's radius. The same number as `autodual.train.losses.Robust()`. With
    label maps `[N, *positions]` it is the mean over all positions but those labelled -100, as PyTorch's cross-entropy
    has it, or `[N, *positions]`.

    Batch norms in training mode (`model.train()`) normalise by the mean and variance of the clean batch x instead of
    their running ones, and the same pass updates the running ones. This is the thesis' heuristic for training deep
    networks: the value then bounds the loss of the network normalised in this way, which is *not* the network that
    inference runs. Never report it as a guarantee. In evaluation mode it is one, and nothing is updated. Dropout is
    left out in both modes; a warning says so once.

    Args:
        dual: the dual network of any model.
        x: samples `[N, *shape]`.
        labels: `[N]`, the classes that they should be given.
        ball: the set around each sample.
        reduction: `mean`, `sum` or `none`.
        union: over a union of sets, the loss of each sample's `worst` member, or the `average` over the members, which
            bounds no worst case.
        batch_statistics: True or False treats all batch norms as in training or evaluation mode, whatever mode they
            are in.

    Raises:
        InvalidInputError: `union` is neither word, `batch_statistics` is True and there is no batch norm, a batch norm
            that learns gets a single sample or is used twice, or samples, labels and set do not fit the network.

    Example:
        >>> import torch, autodual
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
        >>> dual = autodual.compile_dual(model)
        >>> loss = autodual.robust_loss(dual, torch.rand(5, 4), torch.arange(5) % 3, autodual.LinfBall(0.1))
        >>> loss.backward()
        >>> model[0].weight.grad.shape
        torch.Size([8, 4])
    """
    ask = Ask.of(ask, options, robust_loss)
    require(UnionPolicy, union, "union")
    norms = tracking_norms(given_network(dual).model)
    if batch_statistics and not norms:
        raise InvalidInputError("batch statistics need a model with batch norm that tracks running statistics")
    chosen = [] if batch_statistics is None else norms.values()
    batch = Batch.of(dual, x, labels, ball, ask=ask)
    with in_mode(chosen, bool(batch_statistics)):
        scores = [-member.margins().movedim(dual.class_axis, 1) for member in batch.members]

    def entropy(of: Tensor, reduction: str) -> Tensor:
        return functional.cross_entropy(of, batch.labels, reduction=reduction, ignore_index=IGNORED)

    if len(scores) > 1 and union == "average":
        return torch.stack([entropy(one, reduction) for one in scores]).mean(0)
    if len(scores) > 1:
        worst = torch.stack([flat(entropy(one.detach(), "none")).sum(1) for one in scores]).argmax(0)
        scores = [torch.stack(scores)[worst, torch.arange(len(worst), device=worst.device)]]
    return entropy(scores[0], reduction)
