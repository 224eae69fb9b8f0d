"""Wasserstein balls placed around samples: extremes by the price of moving mass, points by moving it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from autodual.interval import Interval
from autodual.perturbations.regions.row_norms import inner
from autodual.perturbations.regions.support import Support
from autodual.perturbations.regions.view import View
from autodual.perturbations.wasserstein.greatest_point import greatest_point
from autodual.perturbations.wasserstein.moves import Moves
from autodual.perturbations.wasserstein.pixel_intervals import pixel_intervals
from autodual.perturbations.wasserstein.support_function import Gains, cheapest, ring_maxima

# How far a point may lie from a true member of the ball, elementwise and in unit roundoffs of that member.
_MEMBER_ROUNDOFFS = 128


@dataclass(frozen=True, eq=False)
class WassersteinRegion(Support):
    """Images to which mass can be moved from `centre` at a cost of at most `budget` `[N]`."""

    budget: Tensor

    @property
    def moves(self) -> Moves:
        return self.source.moves  # type: ignore[attr-defined]

    def enclosure(self) -> Interval:
        return pixel_intervals(self.centre, self.per_feature(self.budget), self.moves)

    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        """Exact: the greatest value of ν, and minus that of -ν."""
        margin = self._margin
        mass = view.around(self.centre, margin)
        inside = self._wide(view.around(torch.ones_like(self.centre), [2 * size for size in margin]), 0.0)
        pads = [size for one in reversed(margin) for size in (2 * one, 2 * one)]
        rows = self._wide(functional.pad(nu, pads), 0.0)
        inside = inside > 0
        budget = view.samples(self.budget)
        # NaN in a row must come out, also where no mass is.
        lost = 0 * inner(nu, view.features(self.centre))
        ends = [lost + self._greatest(sign * rows, inside, mass, budget) for sign in (-1, 1)]
        return -ends[0], ends[1]

    def working_scalars(self, entries: int) -> int:
        return 3 * len(self.moves.rings) * entries

    def rounding(self) -> Tensor:
        limits = torch.finfo(self.centre.dtype)
        size = self.enclosure().magnitude.detach()
        return (_MEMBER_ROUNDOFFS + 2 * self.shape.numel() + 64) * limits.eps * size + limits.tiny

    def steepest(self, gradient: Tensor) -> Tensor:
        return greatest_point(gradient, self.centre, self.budget, self.moves)

    def direction(self, gradient: Tensor) -> Tensor:
        return self.steepest(gradient) - self.centre

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        size = (count, self.count)
        depth = torch.rand(size, generator=generator, dtype=self.centre.dtype, device=self.centre.device)
        # A third of the points land on the boundary, where margins are usually lowest.
        share = self.per_feature((1.5 * depth).clamp(max=1))
        return self.centre + share * (self.corners(count, generator) - self.centre)

    def corners(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        size = (count, *self.centre.shape)
        return self.steepest(torch.randn(size, generator=generator, dtype=self.centre.dtype, device=self.centre.device))

    @property
    def _margin(self) -> tuple[int, ...]:
        """How far mass moves into a window along each axis of a sample except the first."""
        return (0,) * (len(self.shape) - 3) + (self.moves.reach,) * min(2, len(self.shape) - 1)

    def _wide(self, values: Tensor, outside: float) -> Tensor:
        """Values padded along an image's rows, if these are the first axis, which windows leave whole."""
        reach = self.moves.reach
        return values if len(self.shape) > 2 else functional.pad(values, (0, 0, reach, reach), value=outside)

    def _greatest(self, rows: Tensor, inside: Tensor, mass: Tensor, budget: Tensor) -> Tensor:
        values = ring_maxima(torch.where(inside, rows, -torch.inf), self.moves).flatten(2, -2)
        costs = values.new_tensor([ring.cost for ring in self.moves.rings])
        values = torch.where((mass.flatten(2) > 0).unsqueeze(-1), values, 0)
        gains = Gains(values, mass.flatten(2), costs, budget.expand(values.shape[:2]))
        with torch.no_grad():
            price = cheapest(gains).best
        return gains.at(price)[0]
