"""A norm ball clipped to a domain: answers of the ball and of a box, combined."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.perturbations.balls.ball_region import BallRegion
from autodual.perturbations.balls.room import Room, working
from autodual.perturbations.balls.steepest_offset import filled_offset, steepest_offset
from autodual.perturbations.box import BoxRegion
from autodual.perturbations.perturbation import require_points
from autodual.perturbations.regions.region import Region
from autodual.perturbations.regions.row_norms import flatten
from autodual.perturbations.regions.support import CentredNorms, end_rounding
from autodual.perturbations.regions.view import View


@dataclass(frozen=True, eq=False)
class ClippedRegion(Region):
    """ball ∩ domain; `box` is the tightest box around that set, so that ball ∩ box is the same."""

    superadditive: ClassVar[bool] = False  # the maximum of two superadditive functions need not be superadditive

    ball: BallRegion
    box: BoxRegion
    domain: BoxRegion

    @property
    def norm_order(self) -> float:
        return self.ball.order

    @property
    def radii(self) -> Tensor:
        return self.ball.radii

    def enclosure(self) -> Interval:
        return self.box.enclosure()

    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        """The tighter of the ball's and the box's bounds for each row: valid, and exact for unit rows only."""
        ball_lower, ball_upper = self.ball.extremes(nu, view)
        box_lower, box_upper = self.box.extremes(nu, view)
        return torch.maximum(ball_lower, box_lower), torch.minimum(ball_upper, box_upper)

    def reach(self) -> Tensor:
        return self.ball.reach().double().minimum(super().reach())

    def centred_norms(self) -> CentredNorms:
        """The ball's alone, since the ball contains the set."""
        return self.ball.centred_norms()

    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        return self.ball.contains(points, tolerance) & self.box.contains(points, tolerance)

    def project(self, points: Tensor) -> Tensor:
        return self.ball.nearest(points, self._room, self.box.project)

    def retract(self, points: Tensor) -> Tensor:
        return self.ball.drawn_in(points, self._room, self.box.project)

    def steepest(self, gradient: Tensor) -> Tensor:
        if self.ball.order == 1:
            vectors = working(self.ball.vectors(gradient))
            return self.ball.settled(lambda reach: filled_offset(vectors, self._room, reach), self.box.project)
        order, profile = self.ball.order, working(self.ball.profile(gradient))
        return self.ball.settled(lambda reach: steepest_offset(order, profile, self._room, reach), self.box.project)

    def direction(self, gradient: Tensor) -> Tensor:
        """The ball's; in an l1 ball half the way from the least point to the greatest.

        An l1 ball's moves one feature, and stops once that feature reaches the end of the domain.
        """
        if self.ball.order != 1:
            return self.ball.direction(gradient)
        vectors, reach = working(self.ball.vectors(gradient)), working(self.ball.radius).unsqueeze(-1)
        ends = [filled_offset(sign * vectors, self._room, reach) for sign in (1, -1)]
        return ((ends[0] - ends[1]) / 2).reshape(gradient.shape).to(gradient)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return self.project(self.ball.sample(count, generator))

    def corners(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return self.project(self.ball.corners(count, generator))

    def rounding(self) -> Tensor:
        """Sums over the ball have terms as large as the whole ball's, which may far exceed those of the clipped box."""
        excess = (self.ball.enclosure().magnitude - self.enclosure().magnitude).relu().detach()
        terms = self.shape.numel() + 32
        return end_rounding(self) + terms * torch.finfo(excess.dtype).eps * excess

    @cached_property
    def _room(self) -> Room:
        low, high = (flatten(end - self.centre, 1) for end in (self.box.lower, self.box.upper))
        return Room.between(low, high)


def clip(ball: BallRegion, lower: Tensor, upper: Tensor) -> ClippedRegion:
    """The ball clipped to the domain [lower, upper], whose ends broadcast to the samples."""
    lower, upper = lower.expand_as(ball.centre), upper.expand_as(ball.centre)
    nearest = ball.centre.clamp(lower, upper)
    meets = flatten(lower <= upper, 1).all(1) & ball.contains(nearest)
    require_points(meets, ball.source)
    domain = BoxRegion(ball.source, ball.centre, lower, upper)
    room = _room(ball, nearest - ball.centre)
    # The nearest point is certainly in the set; rounding must not push it out of the box.
    lower = torch.maximum(ball.centre - room, lower).minimum(nearest)
    upper = torch.minimum(ball.centre + room, upper).maximum(nearest)
    return ClippedRegion(ball.source, ball.centre, ball, BoxRegion(ball.source, ball.centre, lower, upper), domain)


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
