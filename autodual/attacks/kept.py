"""Which of the points that an attack has seen it gives back."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from autodual.attacks.members import ranked
from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable

#: `worst`: the point of least margin. `first`: the same, but samples are left alone once they are refuted. `loss`: the
#: point of largest objective. `last`: where the ascent ends. `first-together`: as `first`, for functions that look at
#: all samples together, as batch norm does in training: refuted samples stay where they are, and are still run.
Keep = Literal["worst", "first", "first-together", "loss", "last"]


def check_keep(keep: str) -> None:
    """Raise InvalidInputError for a word that `Keep` does not list."""
    if keep not in get_args(Keep):
        raise InvalidInputError(f"an attack keeps one of {', '.join(get_args(Keep))}, not {keep!r}")


class Kept:
    """The point kept for each of N samples; a part of the samples can go on by itself."""

    def __init__(self, keep: Keep, points: Tensor):
        self.keep = keep
        self.points = points
        self._score = points.new_full((points.shape[0],), torch.inf)
        self._whole: tuple[Kept, Tensor] | None = None

    def update(self, points: Tensor, score: Tensor, region: Searchable | None = None) -> None:
        """New points `[T, N, *shape]`; of points and those kept so far, the ones of least score `[T, N]` are kept.

        Args:
            points: T for each sample.
            score: of each; NaN counts as infinite.
            region: points count only if they may lie in it, for all that it says cheaply; None: they all do.
        """
        score = ranked(score.to(self._score))
        if region is not None:
            score = score.masked_fill(~region.plausible(points), torch.inf)
        if self.keep == "first-together":
            score = score.masked_fill(self._score < 0, torch.inf)
        lowest, place = score.min(0)
        better = lowest < self._score
        self._score = torch.minimum(lowest, self._score)
        found = points[0] if len(points) == 1 else points[place, torch.arange(len(place), device=place.device)]
        self.points = torch.where(better.reshape(-1, *[1] * (found.dim() - 1)), found, self.points)

    def resisting(self) -> Tensor | None:
        """Which samples are not refuted yet, as a LongTensor; None if all of them are to go on."""
        if self.keep != "first":
            return None
        refuted = self._score < 0
        return (~refuted).nonzero().squeeze(1) if bool(refuted.any()) else None

    def settled(self, points: Tensor) -> Tensor:
        """The points `[N, *shape]` of the next step: refuted samples that are still run stay at what is kept."""
        if self.keep != "first-together":
            return points
        return torch.where((self._score < 0).reshape(-1, *[1] * (points.dim() - 1)), self.points, points)

    def only(self, index: Tensor | None) -> Kept:
        """What is kept for some of the samples, by a LongTensor; None: itself."""
        if index is None:
            return self
        part = Kept(self.keep, self.points[index])
        part._score = self._score[index]
        part._whole = (self.returned(), index if self._whole is None else self._whole[1][index])
        return part

    def returned(self) -> Kept:
        """The whole of which this is a part, with what the part has kept."""
        if self._whole is None:
            return self
        whole, place = self._whole
        whole._score = whole._score.index_copy(0, place, self._score)
        whole.points = whole.points.index_copy(0, place, self.points)
        return whole
