"""Which of the points that an attack has seen it gives back."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable

#: `worst`: the point of least margin. `first`: the same, but samples are left alone once they are refuted. `loss`: the
#: point of largest objective. `last`: where the ascent ends.
Keep = Literal["worst", "first", "loss", "last"]


def check_keep(keep: str) -> None:
    """Raise InvalidInputError for a word that `Keep` does not list."""
    if keep not in get_args(Keep):
        raise InvalidInputError(f"an attack keeps one of {', '.join(get_args(Keep))}, not {keep!r}")


class Kept:
    """The point kept for each of N samples, among those that may lie in the region for all that it says cheaply."""

    def __init__(self, keep: Keep, points: Tensor):
        self.keep = keep
        self._score = points.new_full((points.shape[0],), torch.inf)
        self.points = points

    def update(self, index: Tensor | None, region: Searchable, points: Tensor, score: Tensor) -> None:
        """New points `[n, *shape]` of the samples index `[n]` (None: of all); those of least score are kept."""
        if self.keep == "last" and index is None:  # an ascent ends in the region
            self.points = points
            return
        before = self._score if index is None else self._score[index]
        score = score.to(before)
        better = ((score < before) | (score == -torch.inf)) & region.plausible(points)
        score = torch.where(better, score, before)
        old = self.points if index is None else self.points[index]
        points = torch.where(better.reshape(-1, *[1] * (points.dim() - 1)), points, old)
        if index is None:
            self._score, self.points = score, points
        else:
            self._score = self._score.index_copy(0, index, score)
            self.points = self.points.index_copy(0, index, points)

    def resisting(self, index: Tensor | None) -> Tensor | None:
        """Which of the samples index `[n]` are not refuted yet, as places in it; None if all of them are to go on."""
        if self.keep != "first":
            return None
        open_ = ~((self._score if index is None else self._score[index]) < 0)
        return None if bool(open_.all()) else open_.nonzero().squeeze(1)
