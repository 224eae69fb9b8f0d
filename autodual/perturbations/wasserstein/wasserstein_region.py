"""Wasserstein balls placed around samples: extremes by the price of moving mass, points by moving it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from autodual.interval import Interval
from autodual.perturbations.regions.region import Region
from autodual.perturbations.regions.row_norms import flatten, inner
from autodual.perturbations.regions.view import View
from autodual.perturbations.wasserstein.canvas import Canvas, nowhere
from autodual.perturbations.wasserstein.gains import greatest_gains
from autodual.perturbations.wasserstein.mass_sources import Sources, sources_of
from autodual.perturbations.wasserstein.membership import MEMBER_ROUNDOFFS
from autodual.perturbations.wasserstein.pixel_intervals import pixel_intervals
from autodual.perturbations.wasserstein.support_question import Question, as_images
from autodual.perturbations.wasserstein.wasserstein_search import WassersteinSearch


@dataclass(frozen=True, eq=False)
class WassersteinRegion(WassersteinSearch, Region):
    """Images to which mass can be moved from `centre` at a cost of at most `budget` `[N]`."""

    @cached_property
    def sources(self) -> Sources:
        """The pixels of each sample that hold mass."""
        return sources_of(flatten(self.centre, 1))

    def enclosure(self) -> Interval:
        return pixel_intervals(self.centre, self.per_feature(self.budget), self.moves)

    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        """Exact: the value at the sample, and what an optimal plan adds to it."""
        value, gains = inner(nu, view.features(self.centre)), greatest_gains(self._question(nu, view))
        return value - gains[1], value + gains[0]

    def working_scalars(self, entries: int) -> int:
        """The sources under a row; all temporaries are made for a few rows at a time."""
        return 2 * self.sources.mass.shape[1]

    def rounding(self) -> Tensor:
        limits = torch.finfo(self.centre.dtype)
        size = self.enclosure().magnitude.detach()
        return (MEMBER_ROUNDOFFS + 2 * self.shape.numel() + 64) * limits.eps * size + limits.tiny

    def _question(self, nu: Tensor, view: View) -> Question:
        """Rows as images whose pixels include all those from which mass can move under them."""
        if view.whole:
            sources = Sources(*(view.samples(values)[:, 0] for values in (self.sources.pixels, self.sources.mass)))
            rows, penalty = nu, None
        else:
            margin = self._margin
            rows = functional.pad(nu, [size for one in reversed(margin) for size in (one, one)])
            sources = sources_of(view.around(self.centre, margin).flatten(1))
            outside = 1 - view.around(torch.ones_like(self.centre), margin)
            penalty = as_images(outside * nowhere(nu.dtype))
        rows = as_images(rows)
        return Question(rows, sources, view.samples(self.budget)[:, 0], Canvas.of(rows, self.moves), penalty)

    @property
    def _margin(self) -> tuple[int, ...]:
        """How far mass moves into a window, along each axis of a sample except the first."""
        return (0,) * (len(self.shape) - 3) + (self.moves.reach,) * min(2, len(self.shape) - 1)
