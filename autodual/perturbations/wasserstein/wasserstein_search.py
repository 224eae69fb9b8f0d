"""What attacks need of a Wasserstein ball: membership, projection, steepest and random points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.perturbations.regions.searchable import Searchable
from autodual.perturbations.wasserstein.entropic_projection import entropic_projection
from autodual.perturbations.wasserstein.exact_projection import exact_projection
from autodual.perturbations.wasserstein.greatest_point import greatest_point
from autodual.perturbations.wasserstein.membership import is_member, may_be_member
from autodual.perturbations.wasserstein.moves import Moves
from autodual.perturbations.wasserstein.pixel_intervals import pixel_intervals

#: Entries of plans that are worked on together.
_ENTRIES = 2**18


@dataclass(frozen=True, eq=False)
class WassersteinSearch(Searchable):
    """Images to which mass can be moved from `centre` at a cost of at most `budget` `[N]`, in float arithmetic.

    A point of the set lies within rounding of an image that has the mass of the centre exactly (see `membership`).
    """

    budget: Tensor
    projection_free = True

    @property
    def moves(self) -> Moves:
        """Where mass may move, and what that costs."""
        return self.source.moves  # type: ignore[attr-defined]

    @property
    def radii(self) -> Tensor:
        box = self._pixels()
        return self.per_feature(((box.upper - box.lower) / 2).flatten(1).amax(1))

    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        """By a linear program for each point that may lie in the set; see `Searchable`.

        Raises:
            InvalidInputError: highspy is not installed.
        """
        whole = points.flatten(0, -len(self.shape) - 1)
        x, budget = self._repeated(self.centre, points), self._repeated(self.budget + tolerance * self._mass, points)
        pixels = self._pixels(tolerance).map(lambda end: self._repeated(end, points))
        return is_member(whole, x, budget, self.moves, pixels).reshape(points.shape[: -len(self.shape)])

    def plausible(self, points: Tensor) -> Tensor:
        """Whether the mass is right, and every pixel has a value that it can have."""
        return may_be_member(points, self.centre, self._pixels())

    def project(self, points: Tensor) -> Tensor:
        """The nearest points of the set; those that lie in it stay."""
        whole = points.flatten(0, -len(self.shape) - 1)
        x, budget = self._repeated(self.centre, points), self._repeated(self.budget, points)
        inside = self.contains(points).flatten()
        found, index = whole.clone(), (~inside).nonzero().squeeze(1)
        most = max(1, _ENTRIES // (self.shape.numel() * self.moves.window**2))
        for part in index.split(most):
            found[part] = exact_projection(whole[part].nan_to_num(0, 0, 0), x[part], budget[part], self.moves)
        return found.reshape(points.shape)

    def entropic(self, points: Tensor, strength: float) -> Tensor:
        """Points of the set near given ones, `[N, *shape]`, as the thesis projects: with an entropy (Algorithm 8).

        Args:
            points: finite, one for each sample.
            strength: λ, of the distance against the entropy, in images of mass 1.
        """
        most = max(1, _ENTRIES // (self.shape.numel() * self.moves.window**2))
        parts = zip(points.split(most), self.centre.split(most), self.budget.split(most))
        return torch.cat([entropic_projection(*part, self.moves, strength) for part in parts])

    def towards(self, points: Tensor, aim: Tensor, share: Tensor | float) -> Tensor:
        """The set is convex, and the way rounds no more than membership allows."""
        return points + share * (aim - points)

    def steepest(self, gradient: Tensor) -> Tensor:
        return greatest_point(gradient, self.centre, self.budget, self.moves)

    def direction(self, gradient: Tensor) -> Tensor:
        return self.steepest(gradient) - self.centre

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        size = (count, self.count)
        depth = torch.rand(size, generator=generator, dtype=self.centre.dtype, device=self.centre.device)
        # A third of the points land on the boundary, where margins are usually lowest.
        share = self.per_feature((1.5 * depth).clamp(max=1))
        return self.towards(self.centre.expand(count, *self.centre.shape), self.corners(count, generator), share)

    def corners(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        size = (count, *self.centre.shape)
        return self.steepest(torch.randn(size, generator=generator, dtype=self.centre.dtype, device=self.centre.device))

    def _pixels(self, tolerance: float = 0.0) -> Interval:
        """The intervals of pixels over the ball."""
        return pixel_intervals(self.centre, self.per_feature(self.budget + tolerance * self._mass), self.moves)

    @property
    def _mass(self) -> Tensor:
        return self.centre.flatten(1).sum(1)

    def _repeated(self, values: Tensor, points: Tensor) -> Tensor:
        """Values of the samples `[N, …]`, once for each of their points `[*, N, *shape]`, flattened."""
        times = points.shape[: -self.centre.dim()]
        return values.expand(*times, *values.shape).flatten(0, len(times))
