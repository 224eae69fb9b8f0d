"""Wasserstein balls placed around samples: extremes by the price of moving mass, points by moving it."""

from __future__ import annotations

import math
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
from autodual.perturbations.wasserstein.gains import gains
from autodual.perturbations.wasserstein.mass_sources import Sources, sources_of
from autodual.perturbations.wasserstein.membership import MEMBER_ROUNDOFFS
from autodual.perturbations.wasserstein.pixel_intervals import pixel_intervals
from autodual.perturbations.wasserstein.support_function import ExactOffers
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
        value, (up, down) = inner(nu, view.features(self.centre)), self._gains(self._question(nu, view), both=True)
        return value - down, value + up

    def least(self, nu: Tensor, view: View) -> Tensor:
        (down,) = self._gains(self._question(-nu, view), both=False)
        return inner(nu, view.features(self.centre)) - down

    def working_scalars(self, entries: int) -> int:
        """A window's surroundings, of row and mass; all other temporaries are made for a few rows at a time."""
        height, width = self.shape[-2:]
        channels = self.shape.numel() // (height * width)
        side = math.isqrt(entries // channels) + 1 + 2 * self.moves.reach
        return 6 * channels * min(side * side, height * width)

    def rounding(self) -> Tensor:
        """What members may lie beside the ball, and what rounding may take from the gain of a row.

        Let u be half of this dtype's eps. A gain is F at some price, which is at least the greatest gain g whatever the
        price is, but for the rounding of F itself: differences of the row's entries (u), prices of moves (2u, as if the
        budget were smaller by as much, and g is concave in the budget), their difference (u), products with the mass
        (u), the budget (u), and the gain itself (u). All terms are at least 0, so each of these costs at most a share
        of g. Sums of n terms are taken in float64: of the gain and of the mass, whose rounding is the budget's. So the
        gain lacks at most (8u + 2n 2⁻⁵³) g, and g ≤ Σ |y_j| |z_j − x_j| ≤ Σ |y_j| upper_j. Adding it to <y, x> costs at
        most u Σ |y_j| upper_j; the sum <y, x> itself is the engine's, as is underflow but for that of the budget. Ends
        of pixel intervals are off by three roundings for each ring.
        """
        limits, narrow = torch.finfo(self.centre.dtype), torch.finfo(torch.float64).eps
        shares = (MEMBER_ROUNDOFFS + 16 + 4 * len(self.moves.rings)) * limits.eps + self.shape.numel() * narrow
        return shares * self._most + 4 * limits.tiny

    def _gains(self, question: Question, *, both: bool) -> Tensor:
        """The most that moving mass adds to rows, and behind it to their negatives if `both`."""
        return gains(question, ExactOffers.to, both=both)

    @cached_property
    def _most(self) -> Tensor:
        """The most that each pixel can hold, `[N, *shape]`."""
        return self.enclosure().upper.detach()

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
