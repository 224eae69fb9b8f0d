"""Labels of mixed samples: several for each, whose losses count by their shares."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from autodual.specs import ClassMargin, Rows


@dataclass(frozen=True, eq=False)
class MixedLabels:
    """Pairs of a share and labels `[N]`; the shares sum to 1.

    The loss of a sample is the mean of its losses for each of its labels, weighted by the shares.
    """

    parts: tuple[tuple[float, Tensor], ...]

    @classmethod
    def of(cls, labels: Tensor | MixedLabels) -> MixedLabels:
        """Labels of samples that are not mixed are the only ones."""
        return labels if isinstance(labels, MixedLabels) else cls(((1.0, labels),))

    def to(self, device: torch.device) -> MixedLabels:
        """The same on a device."""
        return MixedLabels(tuple((share, labels.to(device)) for share, labels in self.parts))

    def mixed(self, share: float, order: Tensor) -> MixedLabels:
        """The labels of share · x + (1 - share) · x[order]; of their labels no share is zero."""
        own = tuple((share * part, labels) for part, labels in self.parts)
        other = tuple(((1 - share) * part, labels[order]) for part, labels in self.parts)
        return MixedLabels(tuple((part, labels) for part, labels in (*own, *other) if part))


@dataclass(frozen=True, eq=False)
class MixedMargin(ClassMargin):
    """What an attack on mixed samples raises the loss of: its margin, too, is a mean by the shares of `mixed`.

    Its half-spaces are those of the first labels, for nothing can be proved of several.
    """

    mixed: MixedLabels = field(kw_only=True)

    @classmethod
    def of(cls, mixed: MixedLabels, class_axis: int) -> MixedMargin:
        """The margin of mixed labels."""
        return cls(mixed.parts[0][1], class_axis, mixed=mixed)

    @property
    def mixture(self) -> tuple[tuple[float, ClassMargin], ...]:
        return tuple((share, ClassMargin(labels, self.class_axis)) for share, labels in self.mixed.parts)

    def margin_of(self, rows: Rows, outputs: Tensor) -> Tensor:
        return torch.stack([share * part.margin_of(rows, outputs) for share, part in self.mixture]).sum(0)

    def select(self, index: Tensor | slice) -> MixedMargin:
        here = index.to(self.labels.device) if isinstance(index, Tensor) else index
        parts = tuple((share, labels[here]) for share, labels in self.mixed.parts)
        return replace(self, labels=parts[0][1], mixed=MixedLabels(parts))
