"""Losses of scores, which bounds of the margins turn into bounds of the worst-case loss (Property 1).

Both depend on differences of scores only, and grow with every other class' score. So where J_j ≤ f_y - f_j holds on the
whole set, the loss at -J is at least the loss at every point of the set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as functional
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.policies import IGNORED
from autodual.tensors import flat

#: The names of the criteria.
CriterionName = Literal["cross-entropy", "hinge"]

#: Scores `[N, C, *positions]` and labels `[N, *positions]` to losses `[N]`.
Criterion = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(scores)_y, by sample `[N]`; for label maps see `by_sample`.

    Args:
        scores: `[N, C, *positions]`.
        labels: `[N, *positions]`.

    Example:
        >>> import torch
        >>> from autodual.train.losses import cross_entropy
        >>> cross_entropy(torch.zeros(1, 2), torch.tensor([0]))
        tensor([0.6931])
    """
    return by_sample(functional.cross_entropy(scores, labels, reduction="none", ignore_index=IGNORED), labels)


def hinge(scores: Tensor, labels: Tensor) -> Tensor:
    """max(0, 1 + max over j ≠ y of scores_j - scores_y), by sample `[N]` (Crammer and Singer's).

    Args:
        scores: `[N, C, *positions]`.
        labels: `[N, *positions]`.

    Example:
        >>> import torch
        >>> from autodual.train.losses import hinge
        >>> hinge(torch.tensor([[2.0, 0.5], [0.0, 0.5]]), torch.tensor([0, 0]))
        tensor([0.0000, 1.5000])
    """
    counted = labels != IGNORED
    known = labels.masked_fill(~counted, 0).unsqueeze(1)
    others = scores.scatter(1, known, -torch.inf)
    losses = (1 + others.amax(1) - scores.gather(1, known)[:, 0]).relu()
    return by_sample(losses.masked_fill(~counted, 0.0), labels)


def by_sample(losses: Tensor, labels: Tensor) -> Tensor:
    """Losses `[N, *positions]`, 0 where ignored, summed by sample `[N]`.

    Scaled so that the mean over the samples is the mean over all positions of the batch that are not ignored, as
    PyTorch's cross-entropy has it.
    """
    return flat(losses).sum(1) * (losses.shape[0] / (labels != IGNORED).sum())


CRITERIA: dict[CriterionName, Criterion] = {"cross-entropy": cross_entropy, "hinge": hinge}


def criterion(name: CriterionName) -> Criterion:
    """The criterion of that name; raises InvalidInputError for another."""
    if name not in CRITERIA:
        raise InvalidInputError(f"'{name}' is no criterion; there are {' and '.join(CRITERIA)}")
    return CRITERIA[name]
