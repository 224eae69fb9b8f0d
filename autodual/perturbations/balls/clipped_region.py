"""A norm ball clipped to a domain: answers of the ball and of a box, combined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.perturbations.balls.ball_region import BallRegion
from autodual.perturbations.box import BoxRegion
from autodual.perturbations.perturbation import require_points
from autodual.perturbations.regions.region import Region
from autodual.perturbations.regions.row_norms import flatten
from autodual.perturbations.regions.support import CentredNorms, end_rounding
from autodual.perturbations.regions.view import View

# Projecting a point this many radii away gives nearly the maximiser in its direction.
_FAR = 1000.0


@dataclass(frozen=True, eq=False)
class ClippedRegion(Region):
    """ball ∩ box, where `box` is the tightest box around that set."""

    superadditive: ClassVar[bool] = False  # the maximum of two superadditive functions need not be superadditive

    ball: BallRegion
    box: BoxRegion

    def enclosure(self) -> Interval:
        return self.box.enclosure()

    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        """The tighter of the ball's and the box's bounds for each row: valid, and exact for unit rows only."""
        ball_lower, ball_upper = self.ball.extremes(nu, view)
        box_lower, box_upper = self.box.extremes(nu, view)
        return torch.maximum(ball_lower, box_lower), torch.minimum(ball_upper, box_upper)

    def centred_norms(self) -> CentredNorms:
        """The ball's alone, since the ball contains the set."""
        return self.ball.centred_norms()

    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        return self.ball.contains(points, tolerance) & self.box.contains(points, tolerance)

    def project(self, points: Tensor) -> Tensor:
        """Exact for p = 1 and 2; for other p a near point, not the nearest."""
        return self._fit(points - self.centre)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Near the maximiser for p = 1 and 2, a point roughly in its direction for other p; always in the region."""
        aim = gradient if self.ball.order == 1 else self.ball.direction(gradient)
        peak = flatten(aim.abs(), aim.dim() - len(self.shape)).amax(-1)
        scale = _FAR * self.ball.radius / torch.where(peak == 0, 1, peak)
        return self._fit(self.ball.per_feature(scale) * aim)

    def direction(self, gradient: Tensor) -> Tensor:
        # An l1 step moves one feature; once that feature reaches the end of the domain, the next has to move.
        if self.ball.order == 1:
            return (self.steepest(gradient) - self.steepest(-gradient)) / 2
        return self.ball.direction(gradient)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return self.project(self.ball.sample(count, generator))

    def corners(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return self.project(self.ball.corners(count, generator))

    def rounding(self) -> Tensor:
        """Sums over the ball have terms as large as the whole ball's, which may far exceed those of the clipped box."""
        excess = (self.ball.enclosure().magnitude - self.enclosure().magnitude).relu().detach()
        terms = self.shape.numel() + 32
        return end_rounding(self) + terms * torch.finfo(excess.dtype).eps * excess

    def _fit(self, offset: Tensor) -> Tensor:
        return self.ball.fit(offset, lambda shrunk: self.box.project(self.centre + shrunk))


def clip(ball: BallRegion, lower: Tensor, upper: Tensor) -> ClippedRegion:
    """The ball clipped to the domain [lower, upper], whose ends broadcast to the samples."""
    lower, upper = lower.expand_as(ball.centre), upper.expand_as(ball.centre)
    nearest = ball.centre.clamp(lower, upper)
    meets = flatten(lower <= upper, 1).all(1) & ball.contains(nearest)
    require_points(meets, ball.source)
    room = _room(ball, nearest - ball.centre)
    # The nearest point is certainly in the set; rounding must not push it out of the box.
    lower = torch.maximum(ball.centre - room, lower).minimum(nearest)
    upper = torch.minimum(ball.centre + room, upper).maximum(nearest)
    return ClippedRegion(ball.source, ball.centre, ball, BoxRegion(ball.source, ball.centre, lower, upper))


def _room(ball: BallRegion, gap: Tensor) -> Tensor:
    """How far each feature can move `[N, *shape]` while the others move only as far as the domain forces them (`gap`).

    From Σ_i |move_i|^p ≤ radius^p, in units of the radius. Gaps are rounded down and the rest of the sum is rounded up:
    otherwise the root of a small difference would turn rounding into a box that is too small.
    """
    limits = torch.finfo(gap.dtype)
    certain = (gap.abs() - 4 * limits.eps * (ball.centre.abs() + gap.abs())).relu()
    shares = (certain / ball.per_feature(ball.radius).clamp(min=limits.tiny)) ** ball.order
    others = ball.per_feature(flatten(shares, 1).sum(1)) - shares
    slack = (16 + 4 * ball.order) * limits.eps
    return ball.per_feature(ball.radius) * (1 - others + slack).clamp(slack, 1) ** (1 / ball.order)
