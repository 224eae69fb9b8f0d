"""A Wasserstein ball clipped to a domain: mass may not gather where a pixel would leave it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.perturbations.box import BoxRegion
from autodual.perturbations.regions.region import Region
from autodual.perturbations.regions.row_norms import flatten
from autodual.perturbations.regions.view import View
from autodual.perturbations.wasserstein.greatest_point import greatest_point
from autodual.perturbations.wasserstein.wasserstein_region import WassersteinRegion


@dataclass(frozen=True, eq=False)
class ClippedWasserstein(Region):
    """ball ∩ domain; `box` is that of the ball's pixel intervals and the domain.

    Extremes are valid bounds, exact for the ball and for the box alone. Points are exact members; projections and
    steepest points are near ones.
    """

    superadditive: ClassVar[bool] = False  # the maximum of two superadditive functions need not be superadditive
    projection_free: ClassVar[bool] = True

    ball: WassersteinRegion
    box: BoxRegion

    @property
    def radii(self) -> Tensor:
        return self.ball.radii

    def enclosure(self) -> Interval:
        return self.box.enclosure()

    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        """The tighter of the ball's and the box's bounds for each row."""
        ball, box = self.ball.extremes(nu, view), self.box.extremes(nu, view)
        return torch.maximum(ball[0], box[0]), torch.minimum(ball[1], box[1])

    def least(self, nu: Tensor, view: View) -> Tensor:
        return torch.maximum(self.ball.least(nu, view), self.box.extremes(nu, view)[0])

    def working_scalars(self, entries: int) -> int:
        return self.ball.working_scalars(entries)

    def rounding(self) -> Tensor:
        """Sums over the ball have terms as large as the whole ball's, which may exceed those of the clipped box."""
        excess = (self.ball.enclosure().magnitude - self.enclosure().magnitude).relu().detach()
        return self.ball.rounding() + (self.shape.numel() + 32) * torch.finfo(excess.dtype).eps * excess

    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        return self.box.contains(points, tolerance) & self.ball.contains(points, tolerance)

    def plausible(self, points: Tensor) -> Tensor:
        return self.box.contains(points) & self.ball.plausible(points)

    def project(self, points: Tensor) -> Tensor:
        """The nearest point of the ball, moved towards the sample until it lies in the domain."""
        return self._drawn_in(self.ball.project(points))

    def towards(self, points: Tensor, aim: Tensor, share: Tensor | float) -> Tensor:
        return self.box.project(self.ball.towards(points, aim, share))

    def steepest(self, gradient: Tensor) -> Tensor:
        """The ball's, without moves to pixels that are full, and with less to those that would overflow."""
        return self.box.project(
            greatest_point(gradient, self.centre, self.ball.budget, self.ball.moves, self.enclosure())
        )

    def direction(self, gradient: Tensor) -> Tensor:
        return self.steepest(gradient) - self.centre

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return self._drawn_in(self.ball.sample(count, generator))

    def corners(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        size = (count, *self.centre.shape)
        return self.steepest(torch.randn(size, generator=generator, dtype=self.centre.dtype, device=self.centre.device))

    def _drawn_in(self, points: Tensor) -> Tensor:
        """Points of the ball, moved towards the sample until they lie in the domain: the ball is convex."""
        step = points - self.centre
        room = torch.where(step > 0, self.box.upper, self.box.lower) - self.centre
        share = torch.where(step == 0, 1, room / step).clamp(0, 1)
        share = flatten(share, points.dim() - len(self.shape)).amin(-1)
        return self.box.project(self.centre + self.per_feature(share) * step)


def clip_wasserstein(ball: WassersteinRegion, lower: Tensor, upper: Tensor) -> ClippedWasserstein:
    """The ball clipped to the domain [lower, upper], whose ends broadcast to the samples.

    Raises:
        InvalidInputError: a sample lies outside the domain.
    """
    x, whole = ball.centre, ball.enclosure()
    outside = flatten((x < lower) | (x > upper), 1).any(1)
    if outside.any():
        raise InvalidInputError(
            f"sample {int(outside.nonzero()[0])} has a pixel outside the domain, where no mass may be cut off; give "
            "images inside the domain, or no domain"
        )
    box = BoxRegion(ball.source, x, whole.lower.maximum(lower), whole.upper.minimum(upper))
    return ClippedWasserstein(ball.source, x, ball, box)
