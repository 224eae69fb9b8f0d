"""Losses of scores that a lower bound of the margins bounds from above (Property 1).

Both depend on differences of scores only, and grow with every other class' score; so their value at -J, where J_j ≤ f_y
- f_j on the whole set, is at least their value at every point of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as functional
from torch import Tensor

from autodual.errors import InvalidInputError

#: The names of the criteria.
CriterionName = Literal["cross-entropy", "hinge"]

#: Scores `[N, K]` and labels `[N]` to losses `[N]`.
Criterion = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(scores)_y, by sample `[N]`.

    Args:
        scores: `[N, K]`.
        labels: `[N]`.

    Example:
        >>> import torch
        >>> from autodual.train.losses import cross_entropy
        >>> cross_entropy(torch.zeros(1, 2), torch.tensor([0]))
        tensor([0.6931])
    """
    return functional.cross_entropy(scores, labels, reduction="none")


def hinge(scores: Tensor, labels: Tensor) -> Tensor:
    """max(0, 1 + max over j ≠ y of scores_j - scores_y), by sample `[N]` (Crammer and Singer's).

    Args:
        scores: `[N, K]`.
        labels: `[N]`.

    Example:
        >>> import torch
        >>> from autodual.train.losses import hinge
        >>> hinge(torch.tensor([[2.0, 0.5], [0.0, 0.5]]), torch.tensor([0, 0]))
        tensor([0.0000, 1.5000])
    """
    own = scores.gather(1, labels.unsqueeze(1))
    others = scores.scatter(1, labels.unsqueeze(1), -torch.inf)
    return (1 + others.amax(1) - own[:, 0]).relu()


CRITERIA: dict[CriterionName, Criterion] = {"cross-entropy": cross_entropy, "hinge": hinge}


def criterion(name: CriterionName) -> Criterion:
    """The criterion of that name; raises InvalidInputError for another."""
    if name not in CRITERIA:
        raise InvalidInputError(f"'{name}' is no criterion; there are {' and '.join(CRITERIA)}")
    return CRITERIA[name]
