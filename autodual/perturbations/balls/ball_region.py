"""Norm balls of finite order p, placed around samples: extremes of <ν, z> by the dual norm of ν."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.perturbations.balls.nearest_offset import nearest_offset, shorter_offset
from autodual.perturbations.balls.room import Room, working
from autodual.perturbations.regions.region import Region
from autodual.perturbations.regions.row_norms import dual_order, flatten, inner, support_norm
from autodual.perturbations.regions.support import CentredNorms, WeightedNorm, end_rounding
from autodual.perturbations.regions.view import View
from autodual.tensors import shared

Shrink: TypeAlias = Callable[[float, Tensor, Room, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class BallRegion(Region):
    """{z : ‖z − centre‖_p ≤ radius}, `radius` `[N]` and p = `order` in [1, inf)."""

    radius: Tensor
    order: float

    @property
    def norm_order(self) -> float:
        return self.order

    @property
    def radii(self) -> Tensor:
        return self.per_feature(self.radius)

    def enclosure(self) -> Interval:
        return Interval.around(self.centre, self.per_feature(self.radius))

    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        value = inner(nu, view.features(self.centre))
        spread = view.samples(self.radius) * support_norm(flatten(nu, 2), dual_order(self.order))
        return value - spread, value + spread

    def reach(self) -> Tensor:
        """The Euclidean norm is at most the norm of any order below 2."""
        return self.radius if self.order <= 2 else super().reach()

    def centred_norms(self) -> CentredNorms:
        if self.order != 2:
            return super().centred_norms()
        weights = self.per_feature(shared(self.radius)).expand(-1, *self.shape)
        return CentredNorms(self.centre, (WeightedNorm(weights, 2),))

    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        length = self.length(points - self.centre)
        return length <= (self.radius + tolerance if tolerance else self.radius)

    def project(self, points: Tensor) -> Tensor:
        return self.nearest(points, self._open, lambda point: point)

    def retract(self, points: Tensor) -> Tensor:
        return self.drawn_in(points, self._open, lambda point: point)

    def steepest(self, gradient: Tensor) -> Tensor:
        return self.centre + self.per_feature(self._reach) * self._steepest_unit(gradient)

    def direction(self, gradient: Tensor) -> Tensor:
        return self.per_feature(self.radius) * self._steepest_unit(gradient)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        size = (count, self.count)
        depth = torch.rand(size, generator=generator, dtype=self.centre.dtype, device=self.centre.device)
        # A third of the points land on the sphere, where margins are usually lowest.
        length = self._reach * (1.5 * depth).clamp(max=1)
        return self.centre + self.per_feature(length) * self._random_unit(count, generator)

    def corners(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        unit = self._random_unit(count, generator)
        if self.order == 1:
            unit = self._steepest_unit(unit)
        return self.centre + self.per_feature(self._reach) * unit

    def rounding(self) -> Tensor:
        return end_rounding(self)

    def length(self, offset: Tensor) -> Tensor:
        """The p-norm `[*, N]` of offsets `[*, N, *shape]`."""
        vectors = self.vectors(offset)
        return vectors.abs().sum(-1) if self.order == 1 else torch.linalg.vector_norm(vectors, self.order, dim=-1)

    def vectors(self, values: Tensor) -> Tensor:
        """Values `[*, N, *shape]` as vectors `[*, N, n]`."""
        return flatten(values, values.dim() - len(self.shape))

    def nearest(self, points: Tensor, room: Room, place: Callable[[Tensor], Tensor]) -> Tensor:
        """The nearest points of ball ∩ box; those that lie there stay.

        Args:
            points: `[*, N, *shape]`.
            room: of the box around the centre.
            place: the projection onto the box.
        """
        whole = place(points)
        inside = self.contains(whole)
        if inside.all():
            return whole
        return torch.where(self.per_feature(inside), whole, self._shrunk(points, room, place, nearest_offset))

    def drawn_in(self, points: Tensor, room: Room, place: Callable[[Tensor], Tensor]) -> Tensor:
        """Points brought into ball ∩ box as `retract` does it; those that lie there may move by a rounding.

        An l1 ball is flat, and the nearest point as good as any.

        Args:
            points, room, place: as of `nearest`.
        """
        return self._shrunk(points, room, place, nearest_offset if self.order == 1 else shorter_offset)

    def _shrunk(self, points: Tensor, room: Room, place: Callable[[Tensor], Tensor], shrink: Shrink) -> Tensor:
        """The points at shorter offsets, which `shrink(order, offset, room, reach)` gives."""
        offset = working(self.vectors(points - self.centre))
        return self.settled(lambda reach: shrink(self.order, offset, room, reach), place)

    def settled(self, offset: Callable[[Tensor], Tensor], place: Callable[[Tensor], Tensor]) -> Tensor:
        """The points `[*, N, *shape]` at offsets of as large a reach as lies in the ball after rounding.

        Args:
            offset: gives offsets `[*, N, n]` whose length is a reach `[N, 1]` once they are clamped to the box.
            place: the projection onto the box.
        """
        found, fits = self._at(offset(self._first_reach), place)
        if fits.all():
            return found
        again, fit_again = self._at(offset(working(self._reach).unsqueeze(-1)), place)
        found = torch.where(self.per_feature(fits), found, again)
        return torch.where(self.per_feature(fits | fit_again), found, place(self.centre))

    def _at(self, offset: Tensor, place: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """The points at offsets `[*, N, n]`, and which of them the ball contains."""
        points = place(self.centre + offset.reshape(*offset.shape[:-1], *self.shape).to(self.centre))
        return points, self.contains(points)

    def profile(self, gradient: Tensor) -> Tensor:
        """The direction of the maximiser of <gradient, ·> over the ball, its largest size 1 (0 where there is none)."""
        vectors = self.vectors(gradient)
        power = dual_order(self.order) - 1
        peak = vectors.abs().amax(-1, keepdim=True)
        shares = vectors / torch.where(peak == 0, 1, peak)
        return shares if power == 1 else (shares.abs() ** power).copysign(shares)

    @cached_property
    def _open(self) -> Room:
        return Room.unbounded(self.centre)

    @cached_property
    def _reach(self) -> Tensor:
        """`[N]`, the radius minus the most that rounding `centre + offset` can add to the offset's length."""
        return self._reach_after(4 * self.length(self.centre))

    @cached_property
    def _likely_reach(self) -> Tensor:
        """`[N]`, the same for errors that add up as random ones do, which points are tested for."""
        return self._reach_after(2 * torch.linalg.vector_norm(self.vectors(self.centre), max(self.order, 2), dim=-1))

    @cached_property
    def _first_reach(self) -> Tensor:
        return working(self._likely_reach).unsqueeze(-1)

    def _reach_after(self, size: Tensor) -> Tensor:
        return (self.radius - torch.finfo(self.centre.dtype).eps * (size + 4 * self.radius)).clamp(min=0)

    def _steepest_unit(self, gradient: Tensor) -> Tensor:
        """The maximiser of <gradient, ·> over the unit ball; zero where the gradient is zero."""
        if self.order == 1:
            vectors = self.vectors(gradient)
            largest = torch.zeros_like(vectors).scatter(-1, vectors.abs().argmax(-1, keepdim=True), 1)
            return (largest * vectors.sign()).reshape(gradient.shape)
        return self._normalised(self.profile(gradient).reshape(gradient.shape))

    def _random_unit(self, count: int, generator: torch.Generator | None) -> Tensor:
        size = (count, *self.centre.shape)
        return self._normalised(
            torch.randn(size, generator=generator, dtype=self.centre.dtype, device=self.centre.device)
        )

    def _normalised(self, offset: Tensor) -> Tensor:
        length = self.per_feature(self.length(offset))
        return offset / torch.where(length == 0, 1, length)
