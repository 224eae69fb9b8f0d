"""What a certificate says of each position of a label map, such as a pixel or a step in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.specs import ClassMargin, LabelSpecification
from autodual.tensors import flat


@dataclass(frozen=True, eq=False, repr=False)
class Positions:
    """The positions of one sample; all tensors have the shape of its label map and lie on the CPU.

    margins: float64, the least lower bound over the other classes; NaN where the label is -100, of which nothing is
    claimed. counted: bool, where something is. certified: bool, which positions are certified by themselves, but for
    the certificate's `failure_probability`; the sample is where all that are counted are. predicted: the network's
    classes at the sample itself. labels: those given, or None.
    """

    margins: Tensor
    counted: Tensor
    certified: Tensor
    predicted: Tensor
    labels: Tensor | None

    def __repr__(self) -> str:
        return f"Positions({self.certified_count:,} of {self.count:,} certified, {self.correct_count:,} correct)"

    @property
    def count(self) -> int:
        """How many positions are counted."""
        return int(self.counted.sum())

    @property
    def certified_count(self) -> int:
        """How many of these are certified."""
        return int(self.certified.sum())

    @property
    def correct_count(self) -> int:
        """How many of these have their label's class at the sample itself; all where no labels were given."""
        if self.labels is None:
            return self.count
        return int(((self.predicted == self.labels) & self.counted).sum())


def positions_of(
    goal: LabelSpecification, lower: Tensor, decisive: Tensor, outputs: Tensor, *, labelled: bool
) -> list[Positions]:
    """By sample, from bounds `[N, K]` of the half-spaces and the nominal outputs `[N, *shape]`.

    decisive: what must be positive for a position to be certified, at most `lower`. labelled: whether the labels were
    given, rather than predicted.
    """
    margins, labels = goal.position_margins(lower).cpu(), goal.labels.cpu()
    beyond = goal.position_margins(decisive).cpu()
    proved = (beyond > 0) & beyond.isfinite()
    known: Sequence[Tensor | None] = list(labels) if labelled else [None] * len(labels)
    counted, predicted = goal.label_map.counted.cpu(), goal.predicted(outputs).cpu()
    return [Positions(*parts) for parts in zip(margins, counted, proved, predicted, known, strict=True)]


def misclassified(goal: object, outputs: Tensor) -> Tensor:
    """Where another class than the label has the largest output at some position, bool `[N]`.

    Nowhere where the goal is not that the label wins.
    """
    if not isinstance(goal, ClassMargin):
        return torch.zeros(outputs.shape[0], dtype=torch.bool, device=outputs.device)
    return flat(goal.misses(outputs)).any(1)
