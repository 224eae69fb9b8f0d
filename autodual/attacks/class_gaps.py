"""How far another class is ahead of the label, over a scale that the scores themselves give, with its slope by hand.

What autograd makes of sorted scores costs more than a run of a small network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from autodual.specs import LabelMap


@dataclass(frozen=True, eq=False)
class ClassGap:
    """(z_other − z_label) / Σ wᵣ z₍ᵣ₎ at each position, where z₍₀₎ ≥ z₍₁₎ ≥ … are the ordered scores.

    Args:
        labels: of N samples.
        outputs: `[N, K]`.
        other: a class of each position, `[N, before, 1, after]`.
        ranks: the wᵣ by r; without any the scale is 1.
    """

    labels: LabelMap
    outputs: Tensor
    other: Tensor
    ranks: Mapping[int, float]

    def loss(self) -> Tensor:
        """Summed over the positions of which something is claimed, `[N]`."""
        return self.labels.total(self._ratio)

    def slope(self) -> Tensor:
        """The gradient of the loss by the outputs, `[N, K]`."""
        share = self.labels.counted.reshape(self._own.shape).to(self._scores)
        if self.ranks:
            share = share / self._scale
        down = self._ratio * share
        parts = [share, -share, *(-weight * down for weight in self.ranks.values())]
        places = [self.other, self._own, *(self._ranked(self._ordered.indices, rank) for rank in self.ranks)]
        slope = torch.zeros_like(self._scores).scatter_add(-2, torch.cat(places, -2), torch.cat(parts, -2))
        return slope.reshape(self.outputs.shape)

    @cached_property
    def _own(self) -> Tensor:
        return self.labels.own(self.outputs.device)

    @cached_property
    def _scores(self) -> Tensor:
        return self.labels.by_class(self.outputs)

    @cached_property
    def _ordered(self) -> torch.return_types.sort:
        return self._scores.sort(-2, descending=True)

    @cached_property
    def _scale(self) -> Tensor:
        values = self._ordered.values
        whole = torch.stack([weight * self._ranked(values, rank) for rank, weight in self.ranks.items()]).sum(0)
        return whole + torch.finfo(whole.dtype).eps

    @cached_property
    def _ratio(self) -> Tensor:
        gap = self._scores.gather(-2, self.other) - self._scores.gather(-2, self._own)
        return gap / self._scale if self.ranks else gap

    def _ranked(self, values: Tensor, rank: int) -> Tensor:
        return values[..., rank : rank + 1, :]


def best_other(labels: LabelMap, outputs: Tensor) -> Tensor:
    """The best class of each position but the label's, `[N, before, 1, after]`.

    Args:
        labels: of N samples.
        outputs: `[N, K]`.
    """
    return labels.by_class(outputs).scatter(-2, labels.own(outputs.device), -torch.inf).argmax(-2, keepdim=True)
