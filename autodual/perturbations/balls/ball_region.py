"""Norm balls of finite order p, placed around samples: extremes of <ν, z> by the dual norm of ν."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.perturbations.regions.region import Region
from autodual.perturbations.regions.row_norms import dual_order, flatten, inner, norm, support_norm
from autodual.perturbations.regions.support import CentredNorms, WeightedNorm, end_rounding
from autodual.perturbations.regions.view import View
from autodual.tensors import shared


@dataclass(frozen=True, eq=False)
class BallRegion(Region):
    """{z : ‖z − centre‖_p ≤ radius}, `radius` `[N]` and p = `order` in [1, inf)."""

    radius: Tensor
    order: float

    def enclosure(self) -> Interval:
        return Interval.around(self.centre, self.per_feature(self.radius))

    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        value = inner(nu, view.features(self.centre))
        spread = view.samples(self.radius) * support_norm(flatten(nu, 2), dual_order(self.order))
        return value - spread, value + spread

    def centred_norms(self) -> CentredNorms:
        if self.order != 2:
            return super().centred_norms()
        weights = self.per_feature(shared(self.radius)).expand(-1, *self.shape)
        return CentredNorms(self.centre, (WeightedNorm(weights, 2),))

    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        return self.length(points - self.centre) <= self.radius + tolerance

    def project(self, points: Tensor) -> Tensor:
        """Exact for p = 1 and 2; for other p the point is shrunk towards the centre, and is not the nearest."""
        offset = points - self.centre
        if self.order == 1:
            return self.fit(offset, lambda shrunk: self.centre + shrunk)
        shrunk = self.per_feature(self._reach) * self._normalised(offset)
        return torch.where(self.per_feature(self.contains(points)), points, self.centre + shrunk)

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
        return norm(flatten(offset, offset.dim() - len(self.shape)), self.order)

    def fit(self, offset: Tensor, place: Callable[[Tensor], Tensor]) -> Tensor:
        """`place(offset)` for the largest shrunken offset `[*, N, *shape]` whose point lies in the ball.

        Shrinking follows the projections onto ever smaller balls: towards zero in a straight line, or for p = 1 by a
        soft threshold. So with `place` a projection onto a box around the centre, the result is the projection onto
        ball ∩ box: the first-order conditions of both problems read the same, feature by feature.
        """
        peak = self.per_feature(flatten(offset.abs(), offset.dim() - len(self.shape)).amax(-1))

        def point(scale: Tensor) -> Tensor:
            scale = self.per_feature(scale)
            if self.order != 1:
                return place(scale * offset)
            return place(offset.sign() * (offset.abs() - peak + scale * peak).relu())

        whole = place(offset)
        inside = self.contains(whole)
        if inside.all():
            return whole
        low, high = torch.zeros_like(inside, dtype=offset.dtype), torch.ones_like(inside, dtype=offset.dtype)
        # Bisection: enough halvings that both ends agree to the last place even at scales of a few thousandths.
        for _ in range(8 - round(math.log2(torch.finfo(offset.dtype).eps))):
            middle = (low + high) / 2
            fits = self.contains(point(middle))
            low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
        return torch.where(self.per_feature(inside), whole, point(low))

    @property
    def _reach(self) -> Tensor:
        """`[N]`, the radius minus the most that rounding `centre + offset` can add to the offset's length."""
        loss = 4 * torch.finfo(self.centre.dtype).eps * (self.length(self.centre) + self.radius)
        return (self.radius - loss).clamp(min=0)

    def _steepest_unit(self, gradient: Tensor) -> Tensor:
        """The maximiser of <gradient, ·> over the unit ball; zero where the gradient is zero."""
        vectors = flatten(gradient, gradient.dim() - len(self.shape))
        size = vectors.abs()
        if self.order == 1:
            largest = torch.zeros_like(vectors).scatter(-1, size.argmax(-1, keepdim=True), 1)
            return (largest * vectors.sign()).reshape(gradient.shape)
        peak = size.amax(-1, keepdim=True)
        size = torch.where(peak == 0, size, size / torch.where(peak == 0, 1, peak))
        return self._normalised((vectors.sign() * size ** (dual_order(self.order) - 1)).reshape(gradient.shape))

    def _random_unit(self, count: int, generator: torch.Generator | None) -> Tensor:
        size = (count, *self.centre.shape)
        return self._normalised(
            torch.randn(size, generator=generator, dtype=self.centre.dtype, device=self.centre.device)
        )

    def _normalised(self, offset: Tensor) -> Tensor:
        length = self.per_feature(self.length(offset))
        return offset / torch.where(length == 0, 1, length)
