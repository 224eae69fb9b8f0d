"""f_label − f_j for every other class j: the rows that class certificates and robust losses bound."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autodual.objective import LocalObjective
from autodual.specs.label_map import LabelMap


@dataclass(frozen=True, eq=False)
class OtherClasses(LocalObjective):
    """f_label − f_j for every class j other than the label, at every position of a label map.

    Rows are ordered by position, then by class, and made on demand; values have the layout of the outputs, with 0 at
    the labels and at ignored positions.

    Args:
        label_map: the labels of N samples.
        classes: the number of classes.
        dtype: of the rows.

    Example:
        >>> import torch
        >>> from autodual.specs import LabelMap, OtherClasses
        >>> OtherClasses(LabelMap.of([1]), 3, torch.float32).values(torch.tensor([[1.0, 4.0, 2.0]]))
        tensor([[3., 0., 2.]])
    """

    label_map: LabelMap
    classes: int
    dtype: torch.dtype

    @property
    def count(self) -> int:
        return self._positions * (self.classes - 1)

    @property
    def terms(self) -> int:
        return self._positions * self.classes

    def piece(self, owner: Tensor | None, first: int, last: int) -> Tensor:
        own = self.label_map.own(self._device).flatten(1)
        own = own if owner is None else own[owner]
        row = torch.arange(first, last, device=self._device)
        position, other = row // (self.classes - 1), row % (self.classes - 1)
        own = own[:, position]
        other = other + (other >= own)
        rows = torch.zeros(*own.shape, self.terms, dtype=self.dtype, device=self._device)
        rows.scatter_(2, self._place(position, own).unsqueeze(2), 1.0)
        return rows.scatter_(2, self._place(position, other).unsqueeze(2), -1.0)

    @property
    def positions(self) -> tuple[int, ...] | None:
        return tuple(self.label_map.labels.shape[1:]) if self.label_map.class_axis == 1 else None

    @property
    def rows_each(self) -> int:
        return self.classes - 1

    def at(self, owner: Tensor, place: Tensor) -> Tensor:
        own = self.label_map.own(self._device).flatten(1)[owner, place].unsqueeze(1)
        other = torch.arange(self.classes - 1, device=self._device)
        other = other + (other >= own)
        rows = torch.zeros(*other.shape, self.classes, dtype=self.dtype, device=self._device)
        own = own.expand_as(other).unsqueeze(2)
        return rows.scatter_(2, own, 1.0).scatter_(2, other.unsqueeze(2), -1.0)

    def part(self, samples: slice | Tensor) -> OtherClasses:
        return replace(self, label_map=self.label_map.select(samples))

    def to(self, like: Tensor) -> OtherClasses:
        labels = replace(self.label_map, labels=self.label_map.labels.to(like.device))
        return replace(self, label_map=labels, dtype=like.dtype)

    @property
    def whole(self) -> Tensor:
        identity = torch.eye(self.terms, dtype=self.dtype, device=self._device)
        return self.values(identity.unsqueeze(1)).movedim(0, -1)

    def values(self, outputs: Tensor) -> Tensor:
        scores = self.label_map.by_class(outputs)
        own = self.label_map.own(outputs.device)
        shape = (*scores.shape[:-4], *own.shape)
        mine = scores.expand(*scores.shape[:-4], own.shape[0], *scores.shape[-3:]).gather(-2, own.expand(shape))
        return self.label_map.others((mine - scores).flatten(-3), 0.0).flatten(-3)

    def spread(self, sizes: Tensor) -> Tensor:
        found, own = self.label_map.by_class(sizes), self.label_map.own(sizes.device)
        return self.label_map.others((found.gather(-2, own) + found).flatten(-3), 0.0).flatten(-3)

    def fits(self, dtype: torch.dtype) -> bool:
        return True

    def complete(self, bounds: Tensor) -> Tensor:
        own = self.label_map.own(bounds.device)
        samples, before, _, after = own.shape
        found = bounds.reshape(samples, before, after, self.classes - 1).movedim(-1, -2)
        other = torch.arange(self.classes - 1, device=bounds.device).reshape(1, 1, -1, 1)
        whole = bounds.new_zeros(samples, before, self.classes, after).scatter(-2, other + (other >= own), found)
        return self.label_map.others(whole.flatten(1), 0.0).flatten(-3)

    def _place(self, position: Tensor, of_class: Tensor) -> Tensor:
        """The index in flattened outputs of a class at a position."""
        after = self.label_map.own(self._device).shape[-1]
        return (position // after * self.classes + of_class) * after + position % after

    @property
    def _positions(self) -> int:
        return self.label_map.labels.shape[1:].numel()

    @property
    def _device(self) -> torch.device:
        return self.label_map.labels.device
